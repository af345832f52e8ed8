// Sends a known stream with any SDK of JavaScript, and returns the ids that it chose for it.

function playLines(Sentry, lines) {
  for (const line of lines) Sentry.logger[line.level](line.body, line.attributes);
}

function playError(Sentry, message) {
  return Sentry.captureException(new RangeError(message));
}

// A span ends as many milliseconds after its beginning as the list says.
function playSpan(Sentry, one, seen) {
  const startTime = Date.now();
  Sentry.startSpanManual({ name: one.name, op: one.op, startTime }, (span) => {
    const ids = span.spanContext();
    seen.spans.push({ name: one.name, span_id: ids.spanId });
    seen.trace_id = ids.traceId;
    playLines(Sentry, one.logs ?? []);
    if (one.error) seen.errors.push(playError(Sentry, one.error));
    if (one.failed) span.setStatus({ code: 2, message: "internal_error" });
    for (const child of one.spans) playSpan(Sentry, child, seen);
    span.end(startTime + one.ms);
  });
}

// The SDK sends several requests at once, so each check-in waits for the one before it.
async function playCheckIns(Sentry, monitor) {
  for (const run of monitor.runs) {
    let checkInId;
    for (const status of run.states) {
      const fields = { monitorSlug: monitor.slug, status, checkInId };
      if (status !== "in_progress") fields.duration = run.seconds;
      checkInId = Sentry.captureCheckIn(fields, monitor.config);
      await Sentry.flush(10_000);
    }
  }
}

export async function play(Sentry, stream) {
  playLines(Sentry, stream.lines);
  const traces = stream.traces.map((one) => {
    const seen = { spans: [], errors: [] };
    Sentry.startNewTrace(() => playSpan(Sentry, one, seen));
    return seen;
  });
  // The SDK of browsers sends no check-ins.
  for (const one of Sentry.captureCheckIn ? stream.check_ins : []) await playCheckIns(Sentry, one);
  return { traces };
}
