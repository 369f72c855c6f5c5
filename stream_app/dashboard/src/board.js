/**
 * What the page knows: operators, groups, and the documents of the one or two groups that are shown.
 *
 * Place: between the live layer and the view, which is told of every change and never asks by itself. Invariants: documents of the default
 * question come by the stream, others are asked for, and again when the stream says that something changed; an answer that is late for another
 * question is dropped; the as-of told holds for everything that is shown.
 */

import { ALL } from './answers.js';
import { isNothing } from './figures.js';
import { ApiError, ask, openLive } from './live.js';
import { daysAreDefault, monthsAreDefault } from './query.js';
import { onToken, token } from './token.js';

/** @typedef {import('./answers.js').Monthly} Monthly */
/** @typedef {import('./answers.js').Distribution} Distribution */
/** @typedef {import('./answers.js').Group} Group */
/** @typedef {import('./answers.js').Operator} Operator */
/** @typedef {import('./query.js').Query} Query */
/** @typedef {import('./stream.js').State} State */

/**
 * @typedef {object} Side a group that is shown
 * @property {string} groupId
 * @property {Monthly | null} monthly as shown
 * @property {Distribution | null} distribution as shown
 * @property {Monthly | null} liveMonthly the default answer
 * @property {Distribution | null} liveDistribution
 * @property {string | null} asOf of the live ones
 * @property {State} state
 */

const WAIT_MS = 3_000; // between looks for a first operator
const LISTS_MS = 60_000; // between looks for new groups and operators
const ASK_AGAIN_MS = 15_000; // so that the as-of of answers moves on
const RETRY_MS = 3_000; // after an error that may pass by itself
const ASK_MS_MIN = 1_000;
/** @type {Record<State['status'], number>} */
const GRAVITY = { live: 0, connecting: 1, disconnected: 2, error: 3, denied: 4, expired: 5 };

export class Board {
  /** @type {Operator[] | null} */
  operators = null;
  /** @type {Group[]} */
  groups = [];
  /** @type {Side[]} */
  sides = [];
  /** @type {ApiError | null} */
  problem = null;
  /** @type {string | null} */
  operatorId = null;
  #onChange;
  #live;
  /** @type {(() => void)[]} */
  #unwatch = [];
  #round = 0; // answers of an earlier one are dropped
  #lookedMs = 0;
  /** @type {Map<string, {due: number, atMs: number}>} */
  #asks = new Map();

  /**
   * @param {Query} query
   * @param {() => void} onChange
   */
  constructor(query, onChange) {
    this.query = query;
    this.#onChange = onChange;
    this.#live = openLive((event) => this.#hear(event));
    onToken(() => this.retry());
    setInterval(() => this.#tick(), 1000);
    this.retry();
  }

  /** Of all that is shown, the worst. @returns {State} */
  get state() {
    const states = this.sides.map((side) => side.state);
    /** @type {State} */
    const worst = states.reduce((one, other) => (GRAVITY[other.status] > GRAVITY[one.status] ? other : one), {
      status: this.sides.length ? 'live' : 'connecting',
      stale: false,
      since: null,
    });
    return { ...worst, stale: states.some((state) => state.stale) };
  }

  /** Up to when everything shown holds. @returns {string | null} */
  get asOf() {
    const all = this.sides.flatMap((side) => [
      side.monthly === side.liveMonthly ? side.asOf : side.monthly?.asOf,
      side.distribution === side.liveDistribution ? side.asOf : side.distribution?.asOf,
    ]);
    const known = all.filter((asOf) => asOf != null);
    return known.length ? /** @type {string} */ (known.reduce((one, other) => (one < other ? one : other))) : null;
  }

  /** The operator's date, by its zone and the clock of the results. */
  get today() {
    return this.sides.find((side) => side.liveDistribution)?.liveDistribution?.to ?? null;
  }

  /** Is nothing known of the operator, or of any? */
  get isEmpty() {
    if (this.operatorId === null) return this.operators !== null;
    const [side] = this.sides;
    if (!side?.liveMonthly || !side.liveDistribution || side.groupId !== ALL) return false;
    return !side.liveDistribution.total && isNothing(side.liveMonthly.months);
  }

  get hasToken() {
    return token() !== null;
  }

  /** Show something else. @param {Query} query */
  choose(query) {
    const before = this.query;
    this.query = query;
    const wanted = query.operatorId ?? this.operatorId;
    if (wanted !== this.operatorId || before.groupId !== query.groupId || before.compare !== query.compare) {
      this.#begin(wanted);
    } else if (questionOf(before) !== questionOf(query)) this.#settleAll();
    this.#onChange();
  }

  /** Begin again: there is a new token, or somebody asks for it. */
  retry() {
    this.problem = null;
    this.#lookedMs = 0;
    this.#begin(this.query.operatorId ?? this.operatorId);
    this.#onChange();
  }

  /** @param {string | null} operatorId */
  #begin(operatorId) {
    const same = operatorId === this.operatorId;
    const before = this.sides;
    for (const end of this.#unwatch) end();
    this.#unwatch = [];
    this.#round += 1;
    this.#asks.clear();
    this.operatorId = operatorId;
    this.sides = [];
    if (operatorId !== null) {
      const names = this.query.compare === null ? [this.query.groupId] : [this.query.groupId, this.query.compare];
      this.sides = names.map((groupId) => (same && before.find((side) => side.groupId === groupId)) || emptySide(groupId));
      this.#unwatch = names.map((groupId) => this.#live.watch(operatorId, groupId));
    }
    if (!same) {
      this.groups = [];
      this.#lookedMs = 0;
    }
    this.#look();
    this.#settleAll();
  }

  #tick() {
    const now = Date.now();
    if (document.visibilityState === 'hidden' || !this.hasToken) return;
    const passing = this.problem !== null && (this.problem.httpStatus === 0 || this.problem.httpStatus >= 429);
    if (now - this.#lookedMs > (passing || this.operatorId === null ? WAIT_MS : LISTS_MS)) this.#look();
    for (const side of this.sides) {
      for (const kind of /** @type {const} */ (['monthly', 'distribution'])) {
        const asked = this.#asks.get(`${kind} ${side.groupId}`);
        if (asked && now - asked.atMs > (passing ? RETRY_MS : ASK_AGAIN_MS)) this.#settle(side, kind);
      }
    }
  }

  /** Ask for operators and groups. */
  async #look() {
    if (!this.hasToken || Date.now() - this.#lookedMs < ASK_MS_MIN) return;
    this.#lookedMs = Date.now();
    const round = this.#round;
    try {
      const operators = (await ask('operators')).data.operators;
      if (round !== this.#round) return;
      this.operators = operators;
      if (this.operatorId === null) {
        const first = operators[0]?.operatorId ?? (await this.#implied());
        if (first != null && round === this.#round) this.#begin(first);
      }
      if (this.operatorId !== null) {
        const groups = (await ask('groups', { operatorId: this.operatorId })).data.groups;
        if (round === this.#round) this.groups = groups;
      }
      this.#solved(round);
    } catch (error) {
      this.#failed(error, round);
    }
  }

  /** The operator of a token for exactly one, which may not be known yet. @returns {Promise<string | null>} */
  async #implied() {
    try {
      return (await ask('monthlyIndex', { months: 1 })).data.operatorId;
    } catch (error) {
      if (error instanceof ApiError && error.code === 40001) return null;
      throw error;
    }
  }

  /** @param {import('./stream.js').LiveEvent} event */
  #hear({ type, operatorId, groupId, data }) {
    const side = this.sides.find((each) => each.groupId === groupId);
    if (!side || operatorId !== this.operatorId) return;
    if (type === 'state') side.state = data;
    if (data.asOf && (side.asOf === null || data.asOf > side.asOf)) side.asOf = data.asOf;
    if (type === 'monthly') side.liveMonthly = data;
    if (type === 'distribution') side.liveDistribution = data;
    if (type === 'monthly' || type === 'distribution') this.#settle(side, type);
    this.#onChange();
  }

  #settleAll() {
    for (const side of this.sides) {
      this.#settle(side, 'monthly');
      this.#settle(side, 'distribution');
    }
  }

  /**
   * Make what is shown what is wanted: the live document, or an answer to be asked for.
   *
   * @param {Side} side
   * @param {'monthly' | 'distribution'} kind
   */
  #settle(side, kind) {
    const key = `${kind} ${side.groupId}`;
    if (kind === 'distribution' && daysAreDefault(this.query)) {
      side.distribution = side.liveDistribution;
      this.#asks.delete(key);
    } else if (kind === 'monthly' && this.#monthsAreLive(side)) {
      side.monthly = side.liveMonthly;
      this.#asks.delete(key);
    } else this.#askSoon(side, kind, key);
  }

  /** @param {Side} side */
  #monthsAreLive({ liveMonthly }) {
    const { currency } = this.query;
    return monthsAreDefault(this.query) && (currency === null || currency === liveMonthly?.currency);
  }

  /**
   * Ask now, or when the last time is long enough ago; once for all that happens until then.
   *
   * @param {Side} side
   * @param {'monthly' | 'distribution'} kind
   * @param {string} key
   */
  #askSoon(side, kind, key) {
    const asked = this.#asks.get(key) ?? { due: 0, atMs: 0 };
    clearTimeout(asked.due);
    const wait = Math.max(0, asked.atMs + ASK_MS_MIN - Date.now());
    const question = questionOf(this.query);
    asked.due = Number(setTimeout(() => this.#ask(side, kind, question), wait));
    this.#asks.set(key, asked);
  }

  /**
   * @param {Side} side
   * @param {'monthly' | 'distribution'} kind
   * @param {string} question
   */
  async #ask(side, kind, question) {
    const round = this.#round;
    const asked = this.#asks.get(`${kind} ${side.groupId}`);
    if (!asked || this.operatorId === null) return;
    asked.atMs = Date.now();
    const { months, endMonth, currency, days, endDate } = this.query;
    const of = { operatorId: this.operatorId, groupId: side.groupId };
    try {
      const { data } =
        kind === 'monthly'
          ? await ask('monthlyIndex', { ...of, months, endMonth, currency })
          : await ask('chargingDistribute', { ...of, days, endDate });
      if (round !== this.#round || question !== questionOf(this.query)) return;
      if (kind === 'monthly') side.monthly = data;
      else side.distribution = data;
      this.#solved(round);
    } catch (error) {
      this.#failed(error, round);
    }
  }

  /** @param {number} round */
  #solved(round) {
    if (round !== this.#round) return;
    this.problem = null;
    this.#onChange();
  }

  /** @param {unknown} error @param {number} round */
  #failed(error, round) {
    if (!(error instanceof ApiError)) throw error;
    if (round !== this.#round) return;
    this.problem = error;
    this.#onChange();
  }
}

/** What answers depend on, besides operator and group. @param {Query} query */
const questionOf = ({ months, endMonth, currency, days, endDate }) => JSON.stringify([months, endMonth, currency, days, endDate]);

/** @param {string} groupId @returns {Side} */
function emptySide(groupId) {
  /** @type {State} */
  const state = { status: 'connecting', stale: false, since: null };
  return { groupId, monthly: null, distribution: null, liveMonthly: null, liveDistribution: null, asOf: null, state };
}
