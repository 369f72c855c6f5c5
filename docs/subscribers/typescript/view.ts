/*
 * A local view of the results that stays right over restarts, tombstones and records out of order, in one file.
 *
 *     npm ci --ignore-scripts && npm run build
 *     KAFKA_BOOTSTRAP_SERVERS=... node built/view.js view.json crm-stats.as-of.v1 crm-stats.monthly.v1 crm-stats.half-hour.v1
 *
 * - The view and the offsets up to which it holds are stored together: here as one file that is replaced as a whole, in a database in one transaction.
 *   There is nothing to commit to Kafka: each process that wants a view reads all partitions, in a consumer group of its own, for KafkaJS needs one.
 * - Of a key the highest version counts, of values and of tombstones alike; both have it in the header ce_id, which is key@version. What comes twice,
 *   or late, changes nothing.
 * - An as-of is promised by a record of its topic, and holds for the view once it has all that was written before. KafkaJS asks for the last stable
 *   offset only, which stops at the first open transaction: it is asked when those that were open have ended, at the latest TRANSACTION_MS later.
 * - Results are compressed by zstd, which KafkaJS has to be taught.
 */
import { randomUUID } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { decompress } from "fzstd";
import kafkajs, { type KafkaMessage } from "kafkajs";

const [file, asOf, ...results] = process.argv.slice(2) as [string, string, ...string[]];
const topics = [asOf, ...results];
const brokers = process.env["KAFKA_BOOTSTRAP_SERVERS"]!.split(",");
// The setting transaction_timeout_ms of the service, and transaction.abort.timed.out.transaction.cleanup.interval.ms of the brokers.
const TRANSACTION_MS = Number(process.env["TRANSACTION_MS"] ?? 40_000);
// Tombstones are kept for delete.retention.ms, a day: a view that did not read for longer may have missed some, and is made anew.
const STORED_MS_MAX = 20 * 3_600_000;

type Named<T> = Record<string, T>;
interface AsOf { partition: number; asOf: string }
interface State {
  view: Named<Named<unknown>>; // topic, key
  versions: Named<Named<number>>; // topic, key
  offsets: Named<Named<string>>; // topic, partition: the next one to read
  promised: Named<AsOf>; // key
}

function load(): State {
  const isStored = existsSync(file) && Date.now() - statSync(file).mtimeMs < STORED_MS_MAX;
  const stored = isStored ? readFileSync(file, "utf8") : '{"view": {}, "versions": {}, "offsets": {}, "promised": {}}';
  const state = JSON.parse(stored) as State;
  for (const part of [state.view, state.versions, state.offsets]) for (const topic of topics) part[topic] ??= {};
  return state;
}

/** Replace the stored state: whoever kills this process finds the old one or the new one. */
function save(): void {
  const beside = openSync(`${file}.new`, "w");
  writeFileSync(beside, JSON.stringify(state));
  fsyncSync(beside);
  closeSync(beside);
  renameSync(`${file}.new`, file);
}

/** Apply a record. */
function take(topic: string, message: KafkaMessage): void {
  const key = message.key!.toString();
  const value: unknown = message.value === null ? null : JSON.parse(message.value.toString());
  if (topic === asOf) {
    const promised = value as AsOf;
    if (promised.asOf > (state.promised[key]?.asOf ?? "")) state.promised[key] = promised;
    return;
  }
  const id = String(message.headers!["ce_id"]);
  const version = Number(id.slice(id.lastIndexOf("@") + 1));
  const [view, versions] = [state.view[topic]!, state.versions[topic]!];
  if (version > (versions[key] ?? -1)) {
    versions[key] = version; // a tombstone's, too: what is older must not come back
    if (value === null) delete view[key];
    else view[key] = value;
  }
}

/** Return when the view has all that is committed in the results topics now. */
async function caughtUp(): Promise<void> {
  for (const topic of results) {
    for (const { partition, offset } of await admin.fetchTopicOffsets(topic)) {
      while (BigInt(state.offsets[topic]![partition] ?? 0) < BigInt(offset)) await sleep(100);
    }
  }
}

const state = load();
kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({
  compress: () => Promise.reject(new Error("only read here")),
  decompress: (bytes: Buffer) => Promise.resolve(Buffer.from(decompress(bytes))),
});
const kafka = new kafkajs.Kafka({ clientId: "view", brokers, logLevel: kafkajs.logLevel.WARN }); // and ssl, sasl where there is need
const admin = kafka.admin();
const consumer = kafka.consumer({ groupId: `view-${randomUUID()}` }); // it reads committed records only
consumer.on("consumer.group_join", () => {
  for (const [topic, offsets] of Object.entries(state.offsets)) {
    for (const [partition, offset] of Object.entries(offsets)) consumer.seek({ topic, partition: Number(partition), offset });
  }
});
// Also of a batch of which nothing is to be read. The view may be ahead of the offsets when it is stored, never behind: records that come again change nothing.
consumer.on("consumer.end_batch_process", ({ payload: { topic, partition, lastOffset } }) => {
  state.offsets[topic]![partition] = String(BigInt(lastOffset) + 1n);
});
consumer.on("consumer.crash", ({ payload }) => {
  if (!payload.restart) process.exit(1);
});

await Promise.all([admin.connect(), consumer.connect()]);
await consumer.subscribe({ topics, fromBeginning: true });
await consumer.run({ autoCommit: false, eachMessage: async ({ topic, message }) => take(topic, message) });
setInterval(save, 500);
for (;;) {
  const promised = { ...state.promised };
  await sleep(TRANSACTION_MS);
  await caughtUp();
  state.view[asOf] = promised; // all that was there when they were promised is in the view
}
