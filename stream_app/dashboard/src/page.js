/**
 * The parts of the page, and what each is told.
 *
 * Place: between `app`, which has one of these a language, and the parts. Invariants: what changes by itself is announced politely, at most
 * every few seconds, and never the counting of seconds; the page says whose numbers, of which zone and up to when, on paper too.
 */

import { ALL } from './answers.js';
import { ChartFrame } from './chart_frame.js';
import { chartsOf } from './charts_view.js';
import { h, setText, svg } from './dom.js';
import { isNothing, LAYOUT } from './figures.js';
import { banner, empty, loading, needToken, phaseOf, troubleOf } from './notices.js';
import { manners, named, Pickers } from './pickers.js';
import { Tiles } from './tiles.js';
import { progressOf, tilesOf } from './tiles_view.js';
import { daysInMonth } from './zones.js';

/** @typedef {import('./board.js').Board} Board */
/** @typedef {import('./query.js').Query} Query */
/** @typedef {import('./text.js').Text} Text */
/** @typedef {import('./text.js').Key} Key */
/** @typedef {import('./charts_view.js').Shown} Shown */

const ANNOUNCE_MS_MIN = 10_000;
const BEHIND_SECONDS = 20;
const HALF_HOURS = 'half-hours';
const CHARTS = [...LAYOUT.charts.map(({ id }) => id), HALF_HOURS];
const READING = /** @type {const} */ (['Month', 'Refunds', 'Anonymous', 'Groups', 'Sessions', 'AsOf']);

export class Page {
  #text;
  #again;
  #pickers;
  #tiles = new Tiles();
  /** @type {Map<string, ChartFrame>} */
  #frames = new Map();
  #status = h('span', { class: 'status' });
  #asOf = h('time', { class: 'as-of' });
  #ago = h('span', { class: 'ago' });
  #operator = h('h1');
  #scope = h('p', { class: 'scope' });
  #month = h('h2');
  #progress = h('p', { class: 'progress' });
  #zone = h('p', { class: 'zone' });
  #asOfOnPaper = h('p', { class: 'zone paper' });
  #notice = h('div', { class: 'notice', role: 'status' });
  #instead = h('div', { class: 'instead' });
  #numbers;
  #live = h('div', { class: 'hidden', 'aria-live': 'polite' });
  #noticeFor = '';
  #insteadFor = '';
  #announced = { words: '', atMs: 0 };
  #ending = new AbortController();
  #filled = false;
  #wanted = '';
  /** What the numbers were made of. @type {unknown[]} */
  #madeOf = [];

  /**
   * @param {Text} text
   * @param {Query} query
   * @param {{choose: (changes: Partial<Query>) => void, again: () => void}} actions
   */
  constructor(text, query, { choose, again }) {
    this.#text = text;
    this.#again = again;
    this.#pickers = new Pickers(text, choose);
    const say = (/** @type {Key} */ key) => text.say(key);
    for (const id of CHARTS) {
      const wide = id === HALF_HOURS;
      this.#frames.set(id, new ChartFrame(text, id, (words) => this.#announce(words), wide, wide ? this.#pickers.days : null));
    }
    const frames = [...this.#frames.values()].map((frame) => frame.element);
    this.#numbers = h(
      'div',
      { class: 'numbers' },
      h('section', { class: 'now' }, h('div', { class: 'heading' }, this.#month, this.#progress), this.#tiles.element),
      h(
        'section',
        { class: 'history' },
        h('div', { class: 'heading' }, h('h2', { text: say('trends') }), this.#pickers.months),
        h('div', { class: 'charts' }, ...frames),
      ),
      h(
        'section',
        { class: 'reading' },
        h('h2', { text: say('reading') }),
        h('dl', {}, ...READING.map((key) => h('div', {}, h('dt', { text: say(`reading${key}`) }), h('dd', { text: say(`reading${key}Is`) })))),
      ),
    );
    document.documentElement.lang = text.language === 'zh' ? 'zh-Hans' : 'en';
    document.body.replaceChildren(
      h('a', { class: 'skip', href: '#numbers', text: say('skip') }),
      h(
        'header',
        { class: 'top' },
        h('p', { class: 'brand' }, mark(), say('title')),
        h('p', { class: 'fresh' }, this.#status, this.#asOf, this.#ago),
        manners(text, query, choose),
      ),
      h(
        'main',
        { id: 'numbers', tabindex: -1 },
        h('div', { class: 'who' }, h('div', { class: 'words' }, this.#operator, this.#scope, this.#zone, this.#asOfOnPaper), this.#pickers.who),
        this.#notice,
        this.#instead,
        this.#numbers,
      ),
      this.#live,
    );
    for (const [event, paper] of /** @type {const} */ ([['beforeprint', true], ['afterprint', false]])) {
      window.addEventListener(event, () => this.#print(paper), { signal: this.#ending.signal });
    }
  }

  /** @param {Board} board */
  render(board) {
    const phase = phaseOf(board);
    const text = this.#text;
    const names = board.sides.map(({ groupId }) => this.#name(board, groupId));
    const operator = board.operators?.find((each) => each.operatorId === board.operatorId);
    setText(this.#operator, operator?.name ?? board.operatorId ?? text.say('title'));
    const who = names.length > 1 ? text.say('beside', { one: names[0] ?? '', other: names[1] ?? '' }) : (names[0] ?? '');
    const monthly = board.sides[0]?.monthly;
    setText(this.#scope, [who, monthly?.currency].filter(Boolean).join(' · '));
    document.title = [operator?.name ?? board.operatorId, who, text.say('title')].filter(Boolean).join(' · ');
    this.#pickers.update(board);
    this.#pickers.who.hidden = phase === 'token';
    document.body.dataset.phase = phase;
    this.#renderNotice(board, phase);
    this.#renderInstead(board, phase);
    if (phase === 'shown' && match(board.sides)) {
      this.#filled = true;
      const sides = /** @type {Shown[]} */ (board.sides.map((side, i) => ({ ...side, name: names[i] })));
      this.#renderNumbers(board, sides, names, `${operator?.name ?? board.operatorId} · ${who}`);
    }
    this.#numbers.hidden = phase !== 'shown' || !this.#filled;
    this.tick(board);
  }

  /** Make place for another one. */
  close() {
    this.#ending.abort();
  }

  /** The seconds go by. @param {Board} board */
  tick(board) {
    const text = this.#text;
    this.#announceChanges();
    const { status, stale } = board.state;
    const zone = board.sides.find((side) => side.liveMonthly ?? side.monthly)?.monthly?.timezone ?? null;
    const asOf = board.asOf;
    const seconds = asOf === null ? 0 : Math.max(0, Math.floor((Date.now() - Date.parse(asOf)) / 1000));
    const shown = !board.hasToken ? null : stale && (status === 'live' || status === 'connecting') ? 'stale' : status;
    this.#status.hidden = shown === null;
    setText(this.#status, shown === null ? '' : text.say(shown));
    this.#status.dataset.status = shown === 'live' && asOf !== null && seconds > BEHIND_SECONDS ? 'behind' : (shown ?? '');
    const known = asOf !== null && zone !== null && !asOf.startsWith('1970');
    this.#asOf.hidden = this.#ago.hidden = !known;
    if (!known) return;
    const atMs = Date.parse(asOf);
    this.#asOf.dateTime = asOf;
    setText(this.#asOf, text.say('asOf', { time: text.time(atMs, zone, seconds > 12 * 3600) }));
    setText(this.#ago, text.ago(seconds));
    setText(this.#zone, text.say('zone', { zone, offset: text.offset(zone, atMs) }));
    setText(this.#asOfOnPaper, text.say('asOf', { time: text.time(atMs, zone, true) }));
  }

  /** @param {Board} board @param {string} groupId */
  #name({ groups }, groupId) {
    if (groupId === ALL) return this.#text.say('everybody');
    return named(groups.find((group) => group.groupId === groupId)?.name ?? null, groupId);
  }

  /** @param {Board} board @param {Shown[]} sides @param {string[]} names @param {string} who */
  #renderNumbers(board, sides, names, who) {
    const text = this.#text;
    const { today } = board;
    const newest = sides[0]?.monthly.months.at(-1);
    const zone = sides[0]?.monthly.timezone ?? 'UTC';
    if (!newest) return;
    const asOf = board.asOf ? text.say('asOf', { time: text.time(Date.parse(board.asOf), zone, true) }) : '';
    const file = ['crm', board.operatorId, ...board.sides.map((side) => side.groupId), today].join('-').replace(/[^\p{L}\p{N}_.-]+/gu, '_');
    for (const frame of this.#frames.values()) frame.around = { who, source: `${zone} · ${asOf}`, file };
    const madeOf = [today, who, ...names, ...sides.flatMap(({ monthly, distribution }) => [monthly, distribution])];
    if (madeOf.length === this.#madeOf.length && madeOf.every((part, i) => part === this.#madeOf[i])) return; // a new as-of changes no number
    this.#madeOf = madeOf;
    const progress = progressOf(newest.month, today);
    const name = text.month(newest.month);
    setText(this.#month, progress === undefined ? name : text.say(progress ? 'soFar' : 'whole', { month: name }));
    const monthName = text.monthName(newest.month);
    setText(
      this.#progress,
      progress ? text.say('dayOf', { ...progress, monthName })
      : progress === null ? text.say('wholeMonth', { days: daysInMonth(newest.month) })
      : '',
    );
    this.#tiles.update(tilesOf(text, sides, today), names);
    for (const chart of chartsOf(text, sides, today)) this.#frames.get(chart.id)?.update(chart);
    this.#wanted = text.say('announceMonth', {
      ...text.figures(newest, sides[0]?.monthly.currency ?? ''),
      month: name,
    });
  }

  /** @param {Board} board @param {import('./notices.js').Phase} phase */
  #renderNotice(board, phase) {
    const text = this.#text;
    const trouble = phase === 'token' ? null : troubleOf(board, text);
    const nothing = phase === 'shown' && board.sides.some(({ groupId, monthly }) => groupId !== ALL && monthly !== null && isNothing(monthly.months));
    const made = JSON.stringify([trouble, nothing]);
    if (made === this.#noticeFor) return;
    this.#noticeFor = made;
    this.#notice.replaceChildren(
      ...(trouble ? [banner(text, trouble, this.#again)] : []),
      ...(nothing ? [h('p', { class: 'banner quiet', text: text.say('emptyGroup') })] : []),
    );
  }

  /** @param {Board} board @param {import('./notices.js').Phase} phase */
  #renderInstead(board, phase) {
    const known = board.operators?.some((each) => each.operatorId === board.operatorId) ?? false;
    const made = JSON.stringify([phase, board.operatorId, known]);
    if (made === this.#insteadFor) return;
    this.#insteadFor = made;
    const text = this.#text;
    const parts = { token: () => needToken(text), loading: () => loading(text), empty: () => empty(text, board.operatorId, known) };
    this.#instead.replaceChildren(...(phase in parts ? [parts[/** @type {keyof typeof parts} */ (phase)]()] : []));
  }

  /** Of what changes by itself, not more often than one can listen to. */
  #announceChanges() {
    const now = Date.now();
    if (this.#wanted === this.#announced.words || now - this.#announced.atMs < ANNOUNCE_MS_MIN) return;
    this.#announced = { words: this.#wanted, atMs: now };
    this.#announce(this.#wanted);
  }

  /** @param {string} words */
  #announce(words) {
    setText(this.#live, words);
  }

  /** @param {boolean} paper */
  #print(paper) {
    for (const frame of this.#frames.values()) frame.print(paper);
  }
}

/** Are all of the same months, days and currency? Answers for two groups come one after the other. @param {Board['sides']} sides */
function match(sides) {
  const windows = sides.map(({ monthly, distribution }) =>
    JSON.stringify([monthly?.months.map(({ month }) => month), monthly?.currency, distribution?.from, distribution?.to]),
  );
  return windows.every((window) => window === windows[0]);
}

/** The sign of the page: columns. */
function mark() {
  const columns = [[2, 7], [8, 11], [14, 16]].map(([x = 0, height = 0]) => svg('rect', { x, y: 18 - height, width: 4, height, rx: 1.5 }));
  return svg('svg', { viewBox: '0 0 20 20', 'aria-hidden': 'true' }, ...columns);
}
