// A page that reports with @sentry/browser; the test calls `start` with the SDK's options.
import * as Sentry from "@sentry/browser";
import { play } from "./play.mjs";

function price(order) {
  throw new RangeError(`order ${order} has no price`);
}

window.Sentry = Sentry;
window.play = play;
window.start = (options) => {
  Sentry.init({ release: "shop@1.2.3", environment: "staging", ...options });
  Sentry.setTag("shelf", "a7");
  Sentry.setUser({ id: "u-1", email: "ann@shop.example" });
};
window.capture = (order) => {
  try {
    price(order);
  } catch (error) {
    return Sentry.captureException(error);
  }
};
// Not while the page is being asked: what a script of the test's throws is the test's own.
window.throwLater = (order) => void setTimeout(() => price(order));
window.rejectLater = () => void setTimeout(() => Promise.reject(new TypeError("no such shelf")));
