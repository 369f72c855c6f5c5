/** The tables of the page: what is behind, groups, operators, sources, dead letters. Each says what the monitor says, in words. */

import { h } from '../dom.js';
import { Curve } from './curve.js';
import { isBad, levelOf, nameOf } from './document.js';
import { Table } from './table.js';

/** @typedef {import('./document.js').Answer} Answer */
/** @typedef {import('./document.js').GroupRow} GroupRow */
/** @typedef {import('./document.js').Status} Status */
/** @typedef {import('./history.js').History} History */
/** @typedef {import('./words.js').OpsText} OpsText */
/** @typedef {import('./words.js').OpsKey} OpsKey */

export class Tables {
  #text;
  #history;
  #behind;
  #groups;
  #bad;
  #details;
  #worst;
  #worstCard;
  #sources;
  #letters;
  #probes;
  #probesCard;
  /** @type {Map<string, Curve>} */
  #curves = new Map();
  element;

  /** @param {OpsText} text @param {History} history */
  constructor(text, history) {
    this.#text = text;
    this.#history = history;
    this.#behind = this.#table('behind', 'nothingBehind', ['whatHead', 'byHead', 'sinceHead', 'whyHead', 'todoHead']);
    this.#groups = this.#table(
      'groups',
      'noGroups',
      ['groupHead', 'statusHead', 'unreadHead', 'behindHead', 'caughtHead', 'lossHead', 'membersHead', 'trendHead'],
      ['unreadHead', 'behindHead', 'membersHead'],
    );
    const numbers = /** @type {OpsKey[]} */ (['unreadHead', 'behindHead', 'inHead', 'outHead']);
    this.#bad = this.#table('badList', 'nothingBehind', ['partitionHead', 'groupHead', 'statusHead', 'whyHead', ...numbers], numbers);
    this.#worst = this.#table('worst', 'nothingBehind', ['operatorHead', 'ageHead', 'blameHead'], ['ageHead']);
    this.#sources = this.#table(
      'sources',
      'noSources',
      ['topicHead', 'statusHead', 'lastHead', 'usualHead', 'missedHead'],
      ['lastHead', 'usualHead', 'missedHead'],
    );
    this.#letters = this.#table('letters', 'noLetters', ['reasonHead', 'newHead', 'beforeHead', 'lastHead', 'exampleHead'], ['newHead', 'beforeHead', 'lastHead']);
    const times = /** @type {OpsKey[]} */ (['probeLastHead', 'p50Head', 'p99Head', 'probesHead', 'lostHead']);
    this.#probes = this.#table('probe', 'nothingBehind', ['placeHead', ...times, 'whyHead'], times);
    this.#details = h('details', { class: 'bad' }, h('summary', { text: text.say('badList') }), this.#bad.element);
    this.#probesCard = this.#section('probe', this.#probes.element);
    this.#worstCard = this.#section('worst', this.#worst.element);
    this.element = h(
      'div',
      { class: 'tables' },
      this.#section('behind', this.#behind.element),
      this.#section('groups', this.#groups.element, this.#details),
      h('div', { class: 'pair' }, this.#section('sources', this.#sources.element), this.#worstCard),
      this.#probesCard,
      this.#section('letters', this.#letters.element),
    );
  }

  /** @param {OpsKey} caption @param {OpsKey} empty @param {OpsKey[]} heads @param {OpsKey[]} [numbers] those that are */
  #table(caption, empty, heads, numbers = []) {
    const said = heads.map((key) => ({ text: this.#text.say(key), number: numbers.includes(key) }));
    return new Table(this.#text.say(caption), said, this.#text.say(empty));
  }

  /** @param {OpsKey} title @param {...Element} parts */
  #section(title, ...parts) {
    return h('section', { class: 'card', id: title }, h('h2', { text: this.#text.say(title) }), ...parts);
  }

  /** @param {Answer} answer @param {import('./reading.js').Behind[]} behind */
  update(answer, behind) {
    const { status } = answer;
    if (!status) return;
    this.#updateBehind(status, behind);
    this.#updateGroups(status);
    this.#updateWorst(answer);
    this.#updateSources(status);
    this.#updateLetters(status);
    this.#updateProbes(status);
  }

  /** @param {Status} status @param {import('./reading.js').Behind[]} behind */
  #updateBehind({ now_ms }, behind) {
    const text = this.#text;
    this.#behind.update(
      behind.map(({ key, level, what, detail, by, sinceMs, why, todo }) => ({
        key,
        level,
        cells: [
          { text: what, note: detail },
          { text: by },
          sinceMs === null ? { text: '' } : { text: text.clock(sinceMs, now_ms), note: text.since(Math.max(0, now_ms - sinceMs) / 1000) },
          { text: text.sentence(why) },
          { text: todo ? text.sentence(todo) : text.say('nothingTodo') },
        ],
      })),
    );
  }

  /** @param {Status} status */
  #updateGroups({ groups, words }) {
    const text = this.#text;
    this.#groups.update(
      groups.map((row) => ({
        key: row.group,
        level: levelOf(row.status),
        cells: [
          { text: row.group },
          { text: row.status, level: levelOf(row.status), note: text.sentence(text.advice(words, row.reason).means) },
          { text: row.lag_records === null ? text.say('unknown') : text.count(row.lag_records) },
          { text: row.lag_records === null ? text.say('unknown') : text.span(row.lag_seconds) },
          { text: this.#caughtUp(row) },
          { text: row.loss_seconds === null ? '' : text.say('lostIn', { span: text.span(row.loss_seconds) }) },
          { text: text.count(row.members) },
          { text: '', node: this.#curve(row.group) },
        ],
      })),
    );
    const bad = groups.flatMap((group) => group.partitions.map((row) => ({ group: group.group, ...row })));
    this.#details.hidden = !bad.length;
    this.#bad.update(
      bad.map((row) => ({
        key: `${row.group} ${row.topic} ${row.partition}`,
        level: levelOf(row.status),
        cells: [
          { text: `${row.topic}/${row.partition}` },
          { text: row.group },
          { text: row.status, level: levelOf(row.status) },
          { text: text.sentence(text.advice(words, row.reason).means) },
          { text: text.count(row.lag_records) },
          { text: text.span(row.lag_seconds) },
          { text: text.count(row.incoming) },
          { text: text.count(row.outgoing) },
        ],
      })),
    );
  }

  /** @param {GroupRow} row */
  #caughtUp({ lag_records, catch_up_seconds, status }) {
    const text = this.#text;
    if (lag_records === null) return text.say('unknown');
    if (catch_up_seconds === null) return text.say(levelOf(status) === 'good' ? 'caughtKeeps' : 'caughtNever');
    return catch_up_seconds ? text.say('caughtIn', { span: text.span(catch_up_seconds) }) : text.say('caughtIs');
  }

  /** @param {string} group */
  #curve(group) {
    let curve = this.#curves.get(group);
    if (!curve) this.#curves.set(group, (curve = new Curve(120, 24)));
    const text = this.#text;
    curve.update(this.#history, `group ${group}`, 10, ({ now, most }) =>
      text.say('trendOf', { what: text.say('unreadHead'), now: now === null ? text.say('unknown') : text.count(now), most: text.count(most) }),
    );
    return curve.element;
  }

  /** @param {Answer} answer */
  #updateWorst({ operators }) {
    const text = this.#text;
    const behind = operators.filter((row) => row.stage !== null);
    this.#worstCard.hidden = !behind.length;
    this.#worst.update(
      behind.map((row) => ({
        key: row.operator,
        level: 'bad',
        cells: [
          { text: row.operator },
          { text: text.span(row.oldest_seconds) },
          row.stage === null ? { text: '' } : { text: text.say(nameOf(row.stage)) },
        ],
      })),
    );
  }

  /** @param {Status} status */
  #updateSources({ sources = [], words }) {
    const text = this.#text;
    this.#sources.update(
      sources.map((row) => {
        const bad = isBad(row);
        const state = row.exists ? (row.is_silent ? 'stateSilent' : 'stateGood') : row.failure ? 'stateDenied' : 'stateMissing';
        return {
          key: row.topic,
          level: bad ? 'bad' : 'good',
          cells: [
            { text: row.topic },
            { text: text.say(state), level: bad ? 'bad' : 'good', note: row.is_silent ? text.sentence(text.advice(words, 'silent').means) : '' },
            { text: row.age_seconds === null ? text.say('never') : text.since(row.age_seconds) },
            { text: row.per_hour === null ? text.say('unknown') : text.count(row.per_hour) },
            { text: row.per_hour === null ? text.say('unknown') : text.count(row.missed) },
          ],
        };
      }),
    );
  }

  /** @param {Status} status */
  #updateLetters({ dead_letters = [], now_ms }) {
    const text = this.#text;
    this.#letters.update(
      dead_letters.map((row) => ({
        key: row.reason,
        cells: [
          { text: row.reason },
          { text: text.count(row.since_start) },
          { text: text.count(row.seen - row.since_start) },
          { text: text.since(Math.max(0, now_ms - row.last_ms) / 1000) },
          { text: row.detail, note: row.example },
        ],
      })),
    );
  }

  /** @param {Status} status */
  #updateProbes({ probes = [], is_push_to_blame, words }) {
    const text = this.#text;
    const time = (/** @type {number | null} */ seconds) => ({ text: seconds === null ? '' : text.span(seconds) });
    this.#probesCard.hidden = !probes.length;
    this.#probes.update(
      probes.map((row) => ({
        key: row.stage,
        cells: [
          { text: text.say(nameOf(row.stage)) },
          row.last_seconds === null && row.lost ? { text: text.say('stateLost'), level: 'warn' } : time(row.last_seconds),
          time(row.p50),
          time(row.p99),
          { text: text.count(row.count) },
          { text: text.count(row.lost) },
          { text: is_push_to_blame && row.stage === 'push' ? text.sentence(text.advice(words, 'push').means) : (row.failure ?? '') },
        ],
      })),
    );
  }
}
