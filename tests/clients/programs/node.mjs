// A program that reports with @sentry/node; it prints what its transport saw as one JSON object.
//
//   node node.mjs DSN [TUNNEL]
import * as Sentry from "@sentry/node";

const [dsn, tunnel] = process.argv.slice(2);
const seen = { statuses: [], failures: [] };

function watched(options) {
  const transport = Sentry.makeNodeTransport(options);
  return {
    flush: (timeout) => transport.flush(timeout),
    send: async (envelope) => {
      try {
        const answer = await transport.send(envelope);
        seen.statuses.push(answer.statusCode ?? null);
        return answer;
      } catch (error) {
        seen.failures.push(String(error));
        throw error;
      }
    },
  };
}

function price(order) {
  throw new RangeError(`order ${order} has no price`);
}

function checkout(order) {
  try {
    price(order);
  } catch (error) {
    return Sentry.captureException(error);
  }
}

Sentry.init({
  dsn,
  tunnel,
  transport: watched,
  release: "shop@1.2.3",
  environment: "staging",
  tracesSampleRate: 1.0,
  enableLogs: true,
});
Sentry.setTag("shelf", "a7");
Sentry.setUser({ id: "u-1", email: "ann@shop.example" });
Sentry.addBreadcrumb({ message: "cart opened", category: "ui" });
const ids = [checkout(17), checkout(18)];
const messageId = Sentry.captureMessage("the till is open", "warning");
Sentry.startSpan({ name: "nightly", op: "task" }, () => Sentry.startSpan({ name: "inner" }, () => 1));
Sentry.withMonitor("nightly", () => 1);
Sentry.logger.info("counted tills", { tills: 3 });
Sentry.metrics.count("tills", 3);
Sentry.captureFeedback({ message: "the till is too loud", name: "Ann" });
Sentry.startSession();
Sentry.endSession();
const flushed = await Sentry.flush(10_000);
console.log(JSON.stringify({ ...seen, ids, messageId, flushed }));
