/**
 * A table whose rows are known by a key: an update changes what differs and nothing else. On narrow screens each row stands as a card, with the
 * heads beside the cells; roles are named, for what is displayed otherwise would lose them.
 *
 * @typedef {{text: string, level?: import('./document.js').Level, note?: string, node?: Element}} Cell `node` is put in once
 */

import { h, setText } from '../dom.js';

export class Table {
  #heads;
  #empty;
  #body = h('tbody', { role: 'rowgroup' });
  #table;
  /** @type {Map<string, HTMLTableRowElement>} */
  #rows = new Map();
  element;

  /** @param {string} caption @param {{text: string, number?: boolean}[]} heads @param {string} empty what is said instead */
  constructor(caption, heads, empty) {
    this.#heads = heads;
    this.#empty = h('p', { class: 'nothing', text: empty });
    const head = heads.map(({ text, number }) => h('th', { role: 'columnheader', scope: 'col', class: number ? 'number' : '', text }));
    this.#table = h(
      'table',
      { role: 'table', 'aria-label': caption },
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, ...head)),
      this.#body,
    );
    this.element = h('div', { class: 'rows' }, this.#table, this.#empty);
  }

  /** @param {{key: string, level?: import('./document.js').Level, cells: Cell[]}[]} rows */
  update(rows) {
    this.#table.hidden = !rows.length;
    this.#empty.hidden = rows.length > 0;
    const keys = new Set(rows.map(({ key }) => key));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    rows.forEach(({ key, level, cells }, i) => {
      let row = this.#rows.get(key);
      if (!row) this.#rows.set(key, (row = this.#make(cells)));
      row.dataset.level = level ?? 'none';
      cells.forEach((cell, at) => fill(/** @type {HTMLElement} */ (row.children[at]), cell));
      if (this.#body.children[i] !== row) this.#body.insertBefore(row, this.#body.children[i] ?? null);
    });
  }

  /** @param {Cell[]} cells */
  #make(cells) {
    const made = cells.map(({ node }, at) => {
      const head = this.#heads[at];
      const properties = { 'data-head': head?.text ?? '', class: head?.number ? 'number' : '' };
      const inside = node ? [node] : [h('span', { class: 'said' }), h('span', { class: 'note' })];
      return at === 0
        ? h('th', { role: 'rowheader', scope: 'row', ...properties }, ...inside)
        : h('td', { role: 'cell', ...properties }, ...inside);
    });
    return h('tr', { role: 'row' }, ...made);
  }
}

/** @param {HTMLElement} element @param {Cell} cell */
function fill(element, { text, level, note, node }) {
  element.classList.toggle('blank', !text && !node);
  if (node) return;
  const [said, beside] = element.children;
  if (said) setText(said, text);
  if (said instanceof HTMLElement) said.dataset.level = level ?? '';
  if (beside) setText(beside, note ?? '');
}
