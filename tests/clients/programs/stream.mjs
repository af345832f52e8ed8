// Sends a known stream with @sentry/node; it prints the ids that the SDK chose as one JSON object.
//
//   node stream.mjs DSN static|stream FILE
import { readFileSync } from "node:fs";
import * as Sentry from "@sentry/node";
import { play } from "./play.mjs";

const [dsn, traceLifecycle, file] = process.argv.slice(2);
Sentry.init({
  dsn,
  traceLifecycle,
  release: "shop@1.2.3",
  environment: "staging",
  tracesSampleRate: 1.0,
  enableLogs: true,
});
const seen = await play(Sentry, JSON.parse(readFileSync(file, "utf8")));
const flushed = await Sentry.flush(10_000);
console.log(JSON.stringify({ ...seen, flushed }));
