/** How far a generation is that is being built beside the one that serves: a line of words and a bar, hidden while none is. */

import { h, setText } from '../dom.js';

/** @typedef {import('./document.js').RebuildRow} RebuildRow */
/** @typedef {import('./document.js').Status} Status */
/** @typedef {import('./words.js').OpsText} OpsText */

export class Rebuild {
  #text;
  #title = h('h2');
  #bar;
  #figures = h('p', { class: 'figures' });
  #todo = h('p', { class: 'todo' });
  element;

  /** @param {OpsText} text */
  constructor(text) {
    this.#text = text;
    this.#bar = h('progress', { max: 1, value: 0, 'aria-label': text.say('rebuild') });
    this.element = h('section', { class: 'card rebuild', id: 'rebuild', hidden: true }, this.#title, this.#bar, this.#figures, this.#todo);
  }

  /** @param {Status | null} status */
  update(status) {
    const row = status?.rebuild ?? null;
    this.element.hidden = row === null;
    if (row === null) return;
    const text = this.#text;
    const runs = row.members > 0;
    const share = row.records ? 1 - row.lag_records / row.records : 1;
    this.element.dataset.level = runs ? 'good' : 'warn';
    setText(this.#title, text.say('rebuildTitle', { generation: row.generation, serving: status?.generation ?? '' }));
    this.#bar.value = share;
    setText(this.#figures, this.#said(row, Math.floor(share * 100), runs));
    setText(this.#todo, runs ? '' : text.say('rebuildTodo'));
  }

  /** @param {RebuildRow} row @param {number} percent @param {boolean} runs */
  #said({ lag_records, rate, catch_up_seconds }, percent, runs) {
    const text = this.#text;
    const said = [text.say('rebuildShare', { percent: text.count(percent), left: text.many('records', lag_records) })];
    if (runs && rate != null) said.push(text.say('rebuildRate', { rate: text.count(rate) }));
    if (runs && lag_records && catch_up_seconds != null) said.push(text.say('rebuildLeft', { span: text.span(catch_up_seconds) }));
    if (!runs) said.push(text.say('rebuildStands'));
    return said.join(text.say('listSign'));
  }
}
