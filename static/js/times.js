// Times in the time zone that the user chose, or that of the browser; UTC stays in their titles, and is shown without scripts.
//   data-local="moment"   date and time
//   data-local="clock"    time of day to the millisecond
//   data-local="until"    date and time to the minute; of today, the time
//   data-local="line"     day and time to the millisecond; of today, the time

const ZONE = document.querySelector("[data-time-zone]")?.dataset.timeZone;

const CLOCK = {
  timeZone: ZONE, hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false,
};
const FORMATS = {
  moment: new Intl.DateTimeFormat(undefined, { timeZone: ZONE, dateStyle: "medium", timeStyle: "medium", hour12: false }),
  clock: new Intl.DateTimeFormat(undefined, CLOCK),
};

const HOUR = { timeZone: ZONE, hour: "2-digit", minute: "2-digit", hour12: false };
const DAY = new Intl.DateTimeFormat(undefined, { timeZone: ZONE, dateStyle: "short" });
function withDay(clock) {
  const ofToday = new Intl.DateTimeFormat(undefined, clock);
  const ofADay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", ...clock });
  const isToday = (moment) => DAY.format(moment) === DAY.format(new Date());
  return { format: (moment) => (isToday(moment) ? ofToday : ofADay).format(moment) };
}
FORMATS.until = withDay(HOUR);
FORMATS.line = withDay(CLOCK);

function localise(root) {
  root.querySelectorAll("time[data-local]").forEach((time) => {
    const moment = new Date(time.dateTime);
    const format = FORMATS[time.dataset.local];
    if (format && !Number.isNaN(moment.getTime())) time.textContent = format.format(moment);
    time.removeAttribute("data-local");
  });
}

localise(document);
// The trail is replaced while it is followed.
new MutationObserver((changes) => {
  changes.forEach((change) => change.addedNodes.forEach((node) => node.querySelectorAll && localise(node)));
}).observe(document.getElementById("main") ?? document.body, { childList: true, subtree: true });
