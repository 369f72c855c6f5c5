/**
 * What is behind, and the verdict of it all. Pure: an answer of the API in, words out.
 *
 * Place: between the answer and the views. Nothing is judged anew: who is to blame, which group is not well and which source is silent is said by
 * the monitor. Invariant: results are called current only if the monitor answers, has looked, and blames nobody.
 */

import { greatest, isBad, levelOf, nameOf, SINKS } from './document.js';

/** @typedef {import('./document.js').Answer} Answer */
/** @typedef {import('./document.js').Level} Level */
/** @typedef {import('./document.js').Stage} Stage */
/** @typedef {import('./document.js').Status} Status */
/** @typedef {import('./document.js').ResultRow} ResultRow */
/** @typedef {import('./words.js').OpsText} OpsText */
/** @typedef {{title: string, detail: string, todo: string, level: Level}} Verdict */

/**
 * @typedef {object} Behind
 * @property {string} key
 * @property {Level} level
 * @property {string} what
 * @property {string} detail
 * @property {string} by
 * @property {number | null} sinceMs
 * @property {string} why
 * @property {string} todo
 */

/** Numbers of an answer for the curves. @param {Answer} answer @returns {Map<string, number | null>} */
export function samplesOf({ answers, status }) {
  /** @type {Map<string, number | null>} */
  const found = new Map();
  if (!answers || !status) return found;
  const results = status.results ?? [];
  found.set('age', greatest(results.map((row) => row.oldest_seconds)));
  for (const sink of SINKS) found.set(`sink ${sink}`, greatest(results.map((row) => row.age_seconds[sink])));
  if (status.kafka.is_seen) for (const row of status.groups) found.set(`group ${row.group}`, row.lag_records);
  return found;
}

/** Whose results these are: operators, or partitions where none is known. @param {OpsText} text @param {ResultRow[]} rows @param {ResultRow[]} all */
function whose(text, rows, all) {
  const count = (/** @type {ResultRow[]} */ some) => some.reduce((sum, row) => sum + row.operators, 0);
  const operators = count(rows);
  if (!operators) return text.many('partitions', rows.length);
  return text.many(operators === count(all) ? 'allOperators' : 'operators', operators);
}

/** Since when; null: never there. @param {Stage} stage @param {ResultRow[]} rows */
function since(stage, rows) {
  const times = rows.flatMap(({ as_of_ms }) => (stage in as_of_ms ? [as_of_ms[/** @type {'redis'} */ (stage)]] : Object.values(as_of_ms)));
  return times.length && !times.includes(null) ? Math.min(.../** @type {number[]} */ (times)) : null;
}

/** What a stage that is to blame means, and what to do: where transactions hold as-of, which. @param {OpsText} text @param {Status} status @param {Stage} stage */
function adviceOf(text, { words, held = [], now_ms }, stage) {
  const [first] = held;
  if (stage !== 'as_of' || !first) return text.advice(words, stage);
  const list = held.map(({ topic, partition, producer_id, since_ms }) =>
    text.say(producer_id === null ? 'heldPartition' : 'heldPartitionBy', { partition: `${topic}/${partition}`, producer: producer_id ?? '', time: text.clock(since_ms, now_ms) }),
  );
  const { topic, partition, start_offset } = first;
  return { means: text.say('heldWhy', { list: list.join(text.say('listSign')) }), todo: text.say('heldTodo', { topic, partition, offset: start_offset }) };
}

/** Results by who is to blame for their age, the most operators first. @param {Status} status */
function byStage({ results = [] }) {
  /** @type {Map<Stage, ResultRow[]>} */
  const found = new Map();
  for (const row of results) if (row.stage) found.set(row.stage, [...(found.get(row.stage) ?? []), row]);
  const weight = (/** @type {ResultRow[]} */ rows) => rows.reduce((sum, row) => sum + row.operators * 1000 + 1, 0);
  return [...found].sort(([, one], [, other]) => weight(other) - weight(one));
}

/** All that is behind or not well, the results first. @param {OpsText} text @param {Status} status @returns {Behind[]} */
export function behindOf(text, status) {
  return [...kafka(text, status), ...brokers(text, status), ...results(text, status), ...push(text, status), ...sinks(text, status), ...groups(text, status), ...sources(text, status), ...leftOut(text, status)];
}

/** @param {OpsText} text @param {Status} status @returns {Behind[]} */
function kafka(text, { kafka: { is_seen, looked_ms, failure } }) {
  if (is_seen) return [];
  const why = text.deaf(failure);
  return [{ key: 'kafka', level: 'bad', what: 'Kafka', detail: '', by: '', sinceMs: looked_ms || null, why, todo: '' }];
}

/** Those that are away. @param {OpsText} text @param {Status} status @returns {Behind[]} */
function brokers(text, { brokers: away = [] }) {
  return away.map(({ broker, address, since_ms, topics }) => ({
    key: `broker ${broker}`,
    level: topics.length ? 'bad' : 'warn',
    what: text.say('broker', { broker }),
    detail: address ?? '',
    by: '',
    sinceMs: since_ms,
    why: topics.length ? text.say('brokerHolds', { topics: topics.join(', ') }) : text.say('brokerAway'),
    todo: text.say('brokerTodo'),
  }));
}

/** @param {OpsText} text @param {Status} status @returns {Behind[]} */
function results(text, status) {
  const all = status.results ?? [];
  return byStage(status).map(([stage, rows]) => {
    const { means, todo } = adviceOf(text, status, stage);
    const list = text.many('partitionList', rows.length, { list: rows.map((row) => row.partition).join(', ') });
    const failure = status.sinks?.find((sink) => sink.stage === stage)?.failure;
    return {
      key: `results ${stage}`,
      level: 'bad',
      what: text.say(nameOf(stage)),
      detail: text.say('resultsOf', { who: whose(text, rows, all), partitions: list }),
      by: text.span(greatest(rows.map((row) => row.oldest_seconds))),
      sinceMs: since(stage, rows),
      why: failure ? `${means}; ${text.deaf(failure)}` : means,
      todo,
    };
  });
}

/** Results that are there and do not reach viewers. @param {OpsText} text @param {Status} status @returns {Behind[]} */
function push(text, { probes = [], is_push_to_blame, words }) {
  if (!is_push_to_blame) return [];
  const row = probes.find(({ stage }) => stage === 'push');
  const { means, todo } = text.advice(words, 'push');
  const by = row?.last_seconds == null ? text.say('stateLost') : text.span(row.last_seconds);
  return [{ key: 'push', level: 'bad', what: text.say('stagePush'), detail: '', by, sinceMs: row?.last_ms || null, why: means, todo }];
}

/** Those that do not answer, while what they hold is not old yet. @param {OpsText} text @param {Status} status @returns {Behind[]} */
function sinks(text, status) {
  const blamed = new Set((status.results ?? []).map((row) => row.stage));
  const deaf = (status.sinks ?? []).filter(({ stage, failure }) => failure !== null && !blamed.has(stage));
  return deaf.map(({ stage, failure }) => ({
    key: `sink ${stage}`,
    level: 'warn',
    what: text.say(nameOf(stage)),
    detail: '',
    by: '',
    sinceMs: null,
    why: text.deaf(failure),
    todo: text.advice(status.words, stage).todo,
  }));
}

/** @param {OpsText} text @param {Status} status @returns {Behind[]} */
function groups(text, status) {
  const bad = status.groups.filter((row) => ['warn', 'bad'].includes(levelOf(row.status)));
  return bad.map((row) => {
    const { means, todo } = text.advice(status.words, row.reason);
    const worst = row.partitions.slice(0, 3).map(({ topic, partition }) => `${topic}/${partition}`);
    const known = row.lag_records !== null && row.lag_seconds !== null;
    return {
      key: `group ${row.group}`,
      level: levelOf(row.status),
      what: row.group,
      detail: worst.length ? text.say('badPartitions', { list: worst.join(', ') }) : '',
      by: !known ? '' : row.lag_records ? `${text.span(row.lag_seconds)}, ${text.many('records', row.lag_records)}` : text.say('nothingUnread'),
      sinceMs: row.since_ms || null,
      why: means,
      todo,
    };
  });
}

/** @param {OpsText} text @param {Status} status @returns {Behind[]} */
function sources(text, status) {
  const bad = (status.sources ?? []).filter(isBad);
  return bad.map((row) => {
    const silent = text.advice(status.words, 'silent');
    const missed = Math.round(row.missed);
    return {
      key: `source ${row.topic}`,
      level: 'bad',
      what: row.topic,
      detail: '',
      by: missed ? text.say('missed', { records: text.many('records', missed) }) : '',
      sinceMs: row.last_ms,
      why: row.exists ? silent.means : text.say(row.failure ? 'deniedWhy' : 'missingWhy'),
      todo: row.exists ? silent.todo : text.say(row.failure ? 'deniedTodo' : 'missingTodo'),
    };
  });
}

/** @param {OpsText} text @param {Status} status @returns {Behind[]} */
function leftOut(text, { left_out }) {
  if (!left_out) return [];
  const [why, todo] = [text.say('leftOutWhy'), text.say('leftOutTodo')];
  return [{ key: 'left out', level: 'warn', what: text.many('partitions', left_out), detail: '', by: '', sinceMs: null, why, todo }];
}

/** In one line, of an answer that has just come, and what is behind in it. @param {OpsText} text @param {Answer} answer @param {Behind[]} behind @returns {Verdict} */
export function verdictOf(text, answer, behind) {
  const { status } = answer;
  if (!answer.answers || !status) return awayOf(text, answer);
  const [worst] = behind;
  const all = status.results ?? [];
  if (!status.kafka.is_seen && (status.kafka.failure || status.kafka.looked_ms)) return kafkaVerdict(text, status);
  if (!all.length) return { title: text.say('newTitle'), detail: text.say('newText'), todo: '', level: 'none' };
  const more = behind.length > 1 ? text.say('oldMore', { count: behind.length - 1 }) : '';
  const [guilty] = byStage(status);
  if (guilty) {
    const [stage, rows] = guilty;
    const { means, todo } = adviceOf(text, status, stage);
    const [who, age, sinceMs] = [whose(text, rows, all), greatest(rows.map((row) => row.oldest_seconds)), since(stage, rows)];
    const why = text.sentence(means);
    const said = sinceMs === null ? text.say('oldTextNever', { why }) : text.say('oldText', { why, time: text.clock(sinceMs, status.now_ms) });
    const title = age === null ? text.say('missingTitle', { who }) : text.say('oldTitle', { who, age: text.span(age) });
    return { title, detail: `${said} ${more}`.trim(), todo: text.say('todoText', { todo: text.sentence(todo) }), level: 'bad' };
  }
  const age = text.span(greatest(all.map((row) => row.oldest_seconds)));
  if (!worst) return { title: text.say('wellTitle', { age }), detail: text.say('wellText'), todo: '', level: 'good' };
  const detail = `${text.say('butText', { what: worst.what, why: worst.why })} ${more}`.trim();
  return { title: text.say('butTitle', { age }), detail, todo: worst.todo ? text.say('todoText', { todo: text.sentence(worst.todo) }) : '', level: 'warn' };
}

/** @param {OpsText} text @param {Status} status @returns {Verdict} */
function kafkaVerdict(text, { kafka: { looked_ms, failure }, now_ms }) {
  const values = { time: text.clock(looked_ms, now_ms), failure: failure ?? '' };
  return { title: text.say('kafkaTitle'), detail: text.say(looked_ms ? 'kafkaText' : 'kafkaTextNever', values).trim(), todo: '', level: 'bad' };
}

/** @param {OpsText} text @param {Answer} answer @returns {Verdict} */
function awayOf(text, { failure, status, awaySeconds, knownSeconds }) {
  const why = failure ? text.say(/** @type {const} */ ({ timeout: 'awayTimeout', unreachable: 'awayUnreachable', unusable: 'awayUnusable' })[failure]) : '';
  const known = status
    ? text.say('awayText', { time: text.clock(status.now_ms, status.now_ms + (knownSeconds ?? 0) * 1000), span: text.span(knownSeconds) })
    : text.say('awayNever', { span: text.span(awaySeconds) });
  return { title: text.say('awayTitle'), detail: `${why} ${known}`.trim(), todo: text.say('awayTodo'), level: 'none' };
}
