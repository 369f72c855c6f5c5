/**
 * The parts of the operations page, and what each is told.
 *
 * Invariants: what is old looks old (`data-trust` dims it) and says since when; changes of the verdict are announced, the counting of seconds is not.
 */

import { h, setText } from '../dom.js';
import { bannerOf, command, tokenForm } from '../notices.js';
import { manners } from '../pickers.js';
import { Curve } from './curve.js';
import { Flow } from './flow.js';
import { behindOf, verdictOf } from './reading.js';
import { Rebuild } from './rebuild.js';
import { Tables } from './tables.js';

/** @typedef {import('../ask.js').ApiError} ApiError */
/** @typedef {import('../query.js').Query} Query */
/** @typedef {import('./document.js').Answer} Answer */
/** @typedef {import('./history.js').History} History */
/** @typedef {import('./words.js').OpsText} OpsText */
/** @typedef {import('./reading.js').Verdict} Verdict */

/**
 * @typedef {object} State
 * @property {boolean} hasToken
 * @property {Answer | null} data the last answer
 * @property {number} receivedMs when it came
 * @property {ApiError | null} problem why there is no newer one
 *
 * @typedef {'live' | 'away' | 'lost'} Trust away: the monitor does not answer; lost: the API does not
 * @typedef {'token' | 'loading' | 'denied' | 'expired' | 'failed' | 'shown'} Phase
 */

const GLYPHS = { good: '✓', warn: '!', bad: '✕', none: '?' };
const COMMAND = 'make token ARGS="--ops"';

/** @param {State} state @returns {Phase} */
function phaseOf({ hasToken, data, problem }) {
  if (!hasToken) return 'token';
  if (problem?.httpStatus === 403) return 'denied';
  if (data) return 'shown';
  if (problem?.httpStatus === 401) return 'expired';
  return problem ? 'failed' : 'loading';
}

export class OpsPage {
  #text;
  #history;
  #again;
  #flow;
  #tables;
  #rebuild;
  #curve = new Curve(240, 56);
  #status = h('span', { class: 'status' });
  #seen = h('time');
  #glyph = h('span', { class: 'glyph', 'aria-hidden': 'true' });
  #title = h('h1');
  #detail = h('p', { class: 'detail' });
  #todo = h('p', { class: 'todo' });
  #caption = h('p', { class: 'caption' });
  #verdict;
  #notice = h('div', { class: 'notice', role: 'status' });
  #instead = h('div', { class: 'instead' });
  #whole;
  #live = h('div', { class: 'hidden', 'aria-live': 'polite' });
  #made = '';
  #said = '';

  /** @param {OpsText} text @param {Query} query @param {History} history @param {{choose: (changes: Partial<Query>) => void, again: () => void}} actions */
  constructor(text, query, history, { choose, again }) {
    this.#text = text;
    this.#history = history;
    this.#again = again;
    this.#flow = new Flow(text);
    this.#tables = new Tables(text, history);
    this.#rebuild = new Rebuild(text);
    this.#verdict = h(
      'section',
      { class: 'card verdict' },
      this.#glyph,
      h('div', { class: 'words' }, this.#title, this.#detail, this.#todo),
      h('div', { class: 'trend' }, this.#curve.element, this.#caption),
    );
    this.#whole = h(
      'div',
      { class: 'whole' },
      this.#verdict,
      this.#rebuild.element,
      h('section', { class: 'card way' }, h('h2', { text: text.say('flow') }), this.#flow.element),
      this.#tables.element,
    );
    document.documentElement.lang = text.language === 'zh' ? 'zh-Hans' : 'en';
    document.body.className = 'ops';
    document.body.replaceChildren(
      h('a', { class: 'skip', href: '#verdict', text: text.say('skip') }),
      h(
        'header',
        { class: 'top' },
        h('p', { class: 'brand', text: text.say('title') }),
        h('a', { href: './', text: text.say('dashboard') }),
        h('p', { class: 'fresh' }, this.#status, this.#seen),
        manners(text, query, choose),
      ),
      h('main', { id: 'verdict', tabindex: -1 }, this.#notice, this.#instead, this.#whole),
      this.#live,
    );
  }

  /** @param {State} state */
  render(state) {
    const phase = phaseOf(state);
    document.body.dataset.phase = phase;
    this.#whole.hidden = phase !== 'shown';
    this.#renderInstead(state, phase);
    this.#renderTop(state, phase);
    if (phase === 'shown' && state.data) this.#renderWhole(state, state.data);
    else document.title = this.#text.say('title');
  }

  /** @param {State} state @param {Answer} answer */
  #renderWhole(state, answer) {
    const text = this.#text;
    /** @type {Trust} */
    const trust = state.problem ? 'lost' : answer.answers ? 'live' : 'away';
    const behind = answer.status ? behindOf(text, answer.status) : [];
    const verdict = trust === 'lost' ? this.#lost(state) : verdictOf(text, answer, behind);
    document.body.dataset.trust = trust;
    this.#verdict.dataset.level = verdict.level;
    setText(this.#glyph, GLYPHS[verdict.level]);
    setText(this.#title, verdict.title);
    setText(this.#detail, verdict.detail);
    setText(this.#todo, verdict.todo);
    document.title = `${GLYPHS[verdict.level]} ${verdict.title}`;
    const curve = this.#curve.update(this.#history, 'age', 10, ({ now, most }) => text.say('trendAge', { now: text.span(now), most: text.span(most) }));
    setText(this.#caption, curve ? text.say('trendCaption', { time: text.clock(curve.sinceMs, Date.now()), most: text.span(curve.most) }) : '');
    this.#rebuild.update(answer.status);
    this.#flow.update(answer);
    this.#tables.update(answer, behind);
    this.#tables.element.hidden = !answer.status;
    this.#announce(verdict.title);
  }

  /** When it says something else, not when it counts on. @param {string} title */
  #announce(title) {
    const words = title.replace(/[\d.,]+/g, '');
    if (words === this.#said) return;
    this.#said = words;
    setText(this.#live, title);
  }

  /** @param {State} state @returns {Verdict} */
  #lost({ receivedMs }) {
    const text = this.#text;
    const span = text.span((Date.now() - receivedMs) / 1000);
    const detail = text.say('disconnectedText', { time: text.clock(receivedMs, Date.now()), span });
    return { title: text.say('disconnectedTitle'), detail, todo: '', level: 'none' };
  }

  /** @param {State} state @param {Phase} phase */
  #renderTop({ data, receivedMs, problem }, phase) {
    const text = this.#text;
    const shown = phase === 'shown' ? data : null;
    const away = shown !== null && !shown.answers;
    const status =
      problem?.httpStatus === 401 ? 'expired'
      : phase === 'denied' ? 'denied'
      : problem ? 'disconnected'
      : away ? 'stale'
      : shown ? 'live'
      : 'connecting';
    this.#status.hidden = phase === 'token';
    this.#status.dataset.status = status;
    setText(this.#status, text.say(status));
    this.#seen.hidden = shown === null || shown.knownSeconds === null;
    if (shown === null) return;
    const atMs = receivedMs - (shown.knownSeconds ?? 0) * 1000;
    this.#seen.dateTime = new Date(atMs).toISOString();
    setText(this.#seen, text.say('asOf', { time: text.clock(atMs, Date.now()) }));
  }

  /** What stands in place of the page, or above it. @param {State} state @param {Phase} phase */
  #renderInstead({ problem, receivedMs }, phase) {
    const text = this.#text;
    const expired = phase === 'shown' && problem?.httpStatus === 401;
    const made = JSON.stringify([phase, expired, problem?.code, problem?.message]);
    if (made === this.#made) return;
    this.#made = made;
    const time = text.clock(receivedMs, Date.now());
    this.#notice.replaceChildren(...(expired ? [bannerOf({ kind: 'expired', title: text.say('expiredTitle'), words: text.say('expiredText', { time }) }, tokenForm(text))] : []));
    this.#instead.replaceChildren(...this.#gate(phase, problem));
  }

  /** @param {Phase} phase @param {ApiError | null} problem @returns {Element[]} */
  #gate(phase, problem) {
    const text = this.#text;
    if (phase === 'loading') return [h('p', { class: 'card waiting', role: 'status', text: text.say('loading') })];
    if (phase === 'shown') return [];
    if (phase === 'failed') {
      const message = problem?.httpStatus ? text.say('errorText', { message: problem.message, code: problem.code }) : text.say('errorTextOnly', { message: problem?.message ?? '' });
      const again = h('button', { type: 'button', text: text.say('again'), click: this.#again });
      const kind = problem?.httpStatus ? 'error' : 'disconnected';
      return [bannerOf({ kind, title: text.say(`${kind}Title`), words: message }, again)];
    }
    const keys = /** @type {const} */ ({ token: ['tokenTitle', 'tokenText'], denied: ['deniedTitle', 'deniedText'], expired: ['expiredTitle', 'tokenText'] })[phase];
    return [h('div', { class: 'empty card' }, h('h1', { text: text.say(keys[0]) }), h('p', { text: text.say(keys[1]) }), command(text, COMMAND), tokenForm(text))];
  }
}
