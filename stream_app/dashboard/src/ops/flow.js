/** The way of a record through the stages, each with its age and state, the one to blame marked. */

import { h, setText } from '../dom.js';
import { greatest, isBad, levelOf, nameOf, SINKS } from './document.js';

/** @typedef {import('./document.js').Answer} Answer */
/** @typedef {import('./document.js').Level} Level */
/** @typedef {import('./document.js').Status} Status */
/** @typedef {import('./words.js').OpsText} OpsText */
/** @typedef {import('./words.js').OpsKey} OpsKey */
/** @typedef {{level: Level, state: OpsKey, value: string, unit: string, note: string, blame: boolean, hidden?: boolean}} Node */

const IDS = /** @type {const} */ (['sources', 'ingest', 'ledger', 'as_of', 'redis', 'clickhouse', 'topics', 'push']);
/** @type {Node} */
const UNKNOWN = { level: 'none', state: 'stateUnknown', value: '', unit: '', note: '', blame: false };

export class Flow {
  #text;
  /** @type {Map<string, {element: HTMLElement, parts: Record<'value' | 'unit' | 'note' | 'state', HTMLElement>}>} */
  #nodes = new Map();
  element;

  /** @param {OpsText} text */
  constructor(text) {
    this.#text = text;
    const [sources, ingest, ledger, asOf, ...rest] = IDS.map((id) => this.#make(id));
    const push = rest.pop();
    this.element = h(
      'ol',
      { class: 'flow' },
      ...[sources, ingest, ledger, asOf].map((node) => node ?? null),
      h('li', { class: 'fork' }, h('ul', {}, ...rest)),
      push ?? null,
    );
  }

  /** @param {typeof IDS[number]} id */
  #make(id) {
    const [value, unit, note, state] = [h('b'), h('span', { class: 'unit' }), h('p', { class: 'note' }), h('span', { class: 'state' })];
    const element = h(
      'li',
      { class: 'node', 'data-stage': id },
      h('p', { class: 'name' }, this.#text.say(id === 'sources' ? 'sources' : nameOf(id)), state),
      h('p', { class: 'figure' }, value, ' ', unit),
      note,
    );
    this.#nodes.set(id, { element, parts: { value, unit, note, state } });
    return element;
  }

  /** @param {Answer} answer */
  update(answer) {
    const text = this.#text;
    for (const [id, node] of Object.entries(nodesOf(text, answer))) {
      const found = this.#nodes.get(id);
      if (!found) continue;
      const { element, parts } = found;
      element.hidden = node.hidden ?? false;
      element.dataset.level = node.blame ? 'bad' : node.level;
      element.classList.toggle('blame', node.blame);
      setText(parts.state, text.say(node.blame ? 'blame' : node.state));
      setText(parts.value, node.value);
      setText(parts.unit, node.unit);
      setText(parts.note, node.note);
    }
  }
}

/** @param {OpsText} text @param {Answer} answer @returns {Record<typeof IDS[number], Node>} */
function nodesOf(text, { status, groups }) {
  const blamed = new Set((status?.results ?? []).map((row) => row.stage));
  const group = (/** @type {'ingest' | 'ledger'} */ stage) => ({ ...groupNode(text, status, groups[stage]), blame: blamed.has(stage) });
  const [redis, clickhouse, topics] = SINKS.map((sink) => sinkNode(text, status, sink, blamed.has(sink)));
  return {
    sources: sourcesNode(text, status),
    ingest: group('ingest'),
    ledger: group('ledger'),
    as_of: { ...UNKNOWN, blame: blamed.has('as_of'), hidden: !blamed.has('as_of') },
    redis: redis ?? UNKNOWN,
    clickhouse: clickhouse ?? UNKNOWN,
    topics: topics ?? UNKNOWN,
    push: pushNode(text, status),
  };
}

/** @param {OpsText} text @param {Status | null} status @returns {Node} */
function sourcesNode(text, status) {
  const rows = status?.sources ?? [];
  if (!rows.length) return UNKNOWN;
  const bad = rows.filter(isBad);
  const ages = rows.flatMap(({ age_seconds }) => (age_seconds === null ? [] : [age_seconds]));
  return {
    level: bad.length ? 'bad' : 'good',
    state: bad.length ? (bad.some((row) => row.is_silent) ? 'stateSilent' : 'stateMissing') : 'stateGood',
    value: ages.length ? text.since(Math.min(...ages)) : text.say('never'),
    unit: text.say('lastRecord'),
    note: bad.length ? text.say('topicsOf', { bad: bad.length, count: rows.length }) : text.many('topicsWell', rows.length),
    blame: false,
  };
}

/** @param {OpsText} text @param {Status | null} status @param {string} name @returns {Node} */
function groupNode(text, status, name) {
  const row = status?.groups.find(({ group }) => group === name);
  if (!status || !row || !status.kafka.is_seen) return UNKNOWN;
  const level = levelOf(row.status);
  const states = /** @type {const} */ ({ good: 'stateGood', warn: 'stateWarn', bad: 'stateBad', none: 'stateUnknown' });
  const known = row.lag_records !== null;
  return {
    level,
    state: states[level],
    value: known ? text.span(row.lag_seconds) : text.say('unknown'),
    unit: known ? text.say('behindBy') : '',
    note: level === 'good' && known ? text.say('unreadOf', { records: text.many('records', row.lag_records ?? 0) }) : text.advice(status.words, row.reason).means,
    blame: false,
  };
}

/** @param {OpsText} text @param {Status | null} status @param {import('./document.js').Sink} sink @param {boolean} blame @returns {Node} */
function sinkNode(text, status, sink, blame) {
  const rows = status?.results ?? [];
  if (!rows.length) return UNKNOWN;
  const age = greatest(rows.map((row) => row.age_seconds[sink]));
  const failure = status?.sinks?.find(({ stage }) => stage === sink)?.failure ?? null;
  const old = rows.some((row) => row.stage !== null && !(row.stage in row.age_seconds && row.stage !== sink));
  return {
    level: old ? 'bad' : failure ? 'warn' : 'good',
    state: failure ? 'stateDeaf' : old ? 'stateOld' : 'stateGood',
    value: text.span(age),
    unit: age === null ? '' : text.say('old'),
    note: failure && blame ? text.say('stateDeaf') : '',
    blame,
  };
}

/** By the probe, which watches the API as a viewer does. @param {OpsText} text @param {Status | null} status @returns {Node} */
function pushNode(text, status) {
  const row = status?.probes?.find(({ stage }) => stage === 'push');
  const blame = status?.is_push_to_blame ?? false;
  if (!row?.count && !row?.lost) return { ...UNKNOWN, state: 'stateUnmeasured', note: row?.failure ?? '' };
  const lost = row.last_seconds === null;
  return {
    level: row.failure ? 'none' : lost ? 'warn' : 'good',
    state: row.failure ? 'stateUnknown' : lost ? 'stateLost' : 'stateGood',
    value: text.span(lost ? row.p50 : row.last_seconds),
    unit: text.say('fromAppend'),
    note: row.failure ?? '',
    blame,
  };
}
