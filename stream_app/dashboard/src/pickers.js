/** What can be chosen: who, in which currency, which months and days, and how the page speaks and looks. Tells of each choice; holds none. */

import { ALL } from './answers.js';
import { h, setOptions } from './dom.js';
import { DAYS_CHOICES, MONTHS_CHOICES } from './query.js';
import { addDays, addMonths } from './zones.js';

/** @typedef {import('./query.js').Query} Query */
/** @typedef {import('./text.js').Text} Text */
/** @typedef {import('./text.js').Key} Key */
/** @typedef {(changes: Partial<Query>) => void} Choose */

const KEPT_DAYS = 92;
const END_MONTHS = 25;

/** @param {string | null} name @param {string} id */
export const named = (name, id) => (name && name !== id ? `${name} · ${id}` : id);

let controls = 0;

/**
 * @param {string} label
 * @param {HTMLSelectElement | HTMLInputElement} control
 * @param {string} [extra] class
 */
function labelled(label, control, extra = '') {
  control.id = `control-${(controls += 1)}`;
  return h('div', { class: `picker ${extra}` }, h('label', { for: control.id, text: label }), control);
}

export class Pickers {
  #text;
  #operator;
  #group;
  #compare;
  #currency;
  #months;
  #endMonth;
  #days;
  #endDate;

  /** @param {Text} text @param {Choose} choose */
  constructor(text, choose) {
    this.#text = text;
    const select = (/** @type {(value: string) => Partial<Query>} */ changes) =>
      h('select', { change: (/** @type {Event} */ event) => choose(changes(/** @type {HTMLSelectElement} */ (event.target).value)) });
    const orNull = (/** @type {string} */ value) => value || null;
    this.#operator = select((operatorId) => ({ operatorId, groupId: ALL, compare: null, currency: null, endMonth: null, endDate: null }));
    this.#group = select((groupId) => ({ groupId }));
    this.#compare = select((value) => ({ compare: orNull(value) }));
    this.#currency = select((value) => ({ currency: orNull(value) }));
    this.#months = select((value) => ({ months: Number(value) }));
    this.#endMonth = select((value) => ({ endMonth: orNull(value) }));
    this.#days = select((value) => ({ days: Number(value) }));
    this.#endDate = h('input', {
      type: 'date',
      required: true,
      change: () => this.#endDate.validity.valid && choose({ endDate: this.#endDate.value === this.#endDate.max ? null : this.#endDate.value }),
    });
    this.who = h(
      'div',
      { class: 'pickers', role: 'group', 'aria-label': text.say('pickers') },
      labelled(text.say('operator'), this.#operator, 'wide'),
      labelled(text.say('group'), this.#group, 'wide'),
      labelled(text.say('compare'), this.#compare, 'wide'),
      labelled(text.say('currency'), this.#currency),
    );
    this.months = h(
      'div',
      { class: 'pickers small', role: 'group', 'aria-label': text.say('trends') },
      labelled(text.say('months'), this.#months),
      labelled(text.say('endMonth'), this.#endMonth),
    );
    this.days = h('div', { class: 'pickers small', role: 'group', 'aria-label': text.say('halfHours') }, labelled(text.say('days'), this.#days), labelled(text.say('endDate'), this.#endDate));
  }

  /** @param {import('./board.js').Board} board */
  update(board) {
    const { query, operatorId, sides } = board;
    const monthly = sides[0]?.liveMonthly ?? sides[0]?.monthly ?? null;
    const operators = board.operators ?? [];
    const known = operators.some((each) => each.operatorId === operatorId);
    const all = known || operatorId === null ? operators : [...operators, { operatorId, name: null }];
    setOptions(this.#operator, all.map((each) => ({ value: each.operatorId, text: named(each.name, each.operatorId) })), operatorId ?? '');
    this.#updateGroups(board);
    const own = monthly?.currency ?? '';
    const currencies = new Set([own, ...(sides.flatMap((side) => [...(side.liveMonthly?.currencies ?? []), ...(side.monthly?.currencies ?? [])])), query.currency ?? own]);
    setOptions(this.#currency, [...currencies].filter(Boolean).sort().map((value) => ({ value: value === own ? '' : value, text: value })), query.currency === own ? '' : (query.currency ?? ''));
    setOptions(this.#months, numbers(MONTHS_CHOICES, query.months), String(query.months));
    setOptions(this.#days, numbers(DAYS_CHOICES, query.days), String(query.days));
    const current = sides[0]?.liveMonthly?.months.at(-1)?.month ?? null;
    if (current) {
      const ends = Array.from({ length: END_MONTHS }, (_, i) => addMonths(current, -i));
      if (query.endMonth && !ends.includes(query.endMonth)) ends.push(query.endMonth);
      const text = (/** @type {string} */ month) => this.#text.month(month, 'short');
      setOptions(
        this.#endMonth,
        ends.map((month) => (month === current ? { value: '', text: this.#text.say('current', { month: text(month) }) } : { value: month, text: text(month) })),
        query.endMonth === current ? '' : (query.endMonth ?? ''),
      );
    }
    if (board.today) {
      this.#endDate.max = board.today;
      this.#endDate.min = addDays(board.today, query.days - KEPT_DAYS);
      const value = query.endDate ?? board.today;
      if (document.activeElement !== this.#endDate && this.#endDate.value !== value) this.#endDate.value = value;
    }
  }

  /** @param {import('./board.js').Board} board */
  #updateGroups({ query, groups }) {
    const name = (/** @type {string} */ id, /** @type {string | null} */ given) => (id === ALL ? this.#text.say('everybody') : named(given, id));
    const ids = new Set(groups.map((group) => group.groupId));
    const listed = [...(ids.has(ALL) ? [] : [{ groupId: ALL, name: null }]), ...groups];
    for (const chosen of [query.groupId, query.compare]) {
      if (chosen !== null && !listed.some((group) => group.groupId === chosen)) listed.push({ groupId: chosen, name: null });
    }
    const options = listed.map((group) => ({ value: group.groupId, text: name(group.groupId, group.name) }));
    setOptions(this.#group, options.filter(({ value }) => value !== query.compare), query.groupId);
    const others = options.filter(({ value }) => value !== query.groupId);
    setOptions(this.#compare, [{ value: '', text: this.#text.say('nobody') }, ...others], query.compare ?? '');
  }
}

/** @param {number[]} choices @param {number} chosen */
const numbers = (choices, chosen) =>
  [...new Set([...choices, chosen])].sort((one, other) => one - other).map((value) => ({ value: String(value), text: String(value) }));

/**
 * Language and colours.
 *
 * @param {Text} text
 * @param {Query} query
 * @param {Choose} choose
 */
export function manners(text, query, choose) {
  const language = h(
    'div',
    { class: 'segments', role: 'group', 'aria-label': text.say('language') },
    ...Object.entries({ en: 'English', zh: '中文' }).map(([lang, name]) =>
      h('button', {
        type: 'button',
        lang,
        text: name,
        'aria-pressed': String(text.language === lang),
        click: () => choose({ lang: /** @type {Query['lang']} */ (lang) }),
      }),
    ),
  );
  const theme = h('select', {
    'aria-label': text.say('theme'),
    change: (/** @type {Event} */ event) => choose({ theme: /** @type {Query['theme']} */ (/** @type {HTMLSelectElement} */ (event.target).value || null) }),
  });
  /** @type {[string, Key][]} */
  const themes = [['', 'themeAuto'], ['light', 'themeLight'], ['dark', 'themeDark']];
  setOptions(theme, themes.map(([value, key]) => ({ value, text: text.say(key) })), query.theme ?? '');
  return h('div', { class: 'manners' }, language, theme);
}

/** Go on where something was chosen, when the page was made anew for it. @param {boolean} language else the colours */
export function focusManners(language) {
  /** @type {HTMLElement | null} */ (document.querySelector(language ? '.segments [aria-pressed="true"]' : '.manners select'))?.focus();
}
