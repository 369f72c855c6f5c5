/** The tiles on the page: made once a language and number of groups, then only their texts change; a value that moved says so by a short glow. */

import { h, setText } from './dom.js';

/** @typedef {import('./tiles_view.js').Tile} Tile */

export class Tiles {
  #main = h('div', { class: 'tiles' });
  #minor = h('div', { class: 'tiles minor' });
  element = h('div', { class: 'all-tiles' }, this.#main, this.#minor);
  /** @type {Map<string, {value: HTMLElement, from: HTMLElement, beside: HTMLElement}[]>} */
  #figures = new Map();
  #made = '';

  /** @param {Tile[]} tiles @param {string[]} names of the groups */
  update(tiles, names) {
    const shape = JSON.stringify([tiles.map(({ title, is }) => [title, is]), names]);
    if (shape !== this.#made) this.#make(tiles, names);
    const fresh = shape !== this.#made;
    this.#made = shape;
    for (const { id, figures } of tiles) {
      figures.forEach(({ value, from, beside }, side) => {
        const parts = this.#figures.get(id)?.[side];
        if (!parts) return;
        if (setText(parts.value, value) && !fresh) glow(parts.value);
        setText(parts.from, from);
        setText(parts.beside, beside);
        parts.beside.hidden = !beside;
      });
    }
  }

  /** @param {Tile[]} tiles @param {string[]} names */
  #make(tiles, names) {
    this.#figures.clear();
    const two = names.length > 1;
    for (const [element, main] of /** @type {const} */ ([[this.#main, true], [this.#minor, false]])) {
      element.replaceChildren(...tiles.filter((tile) => tile.main === main).map((tile) => this.#tile(tile, two, names)));
    }
  }

  /** @param {Tile} tile @param {boolean} two @param {string[]} names */
  #tile({ id, title, is, figures }, two, names) {
    const parts = figures.map(() => ({ value: h('p', { class: 'value' }), from: h('p', { class: 'from' }), beside: h('p', { class: 'beside' }) }));
    this.#figures.set(id, parts);
    return h(
      'article',
      { class: `tile card${two ? ' two' : ''}`, 'data-tile': id },
      h('h3', { text: title }),
      h(
        'div',
        { class: 'figures' },
        ...parts.map(({ value, from, beside }, side) =>
          h(
            'div',
            { class: 'figure' },
            two ? h('p', { class: 'side' }, h('span', { class: `key side${side}` }), names[side] ?? '') : null,
            value,
            from,
            beside,
          ),
        ),
      ),
      h('p', { class: 'is', text: is }),
    );
  }
}

/** @param {HTMLElement} element */
function glow(element) {
  element.classList.remove('moved');
  void element.offsetWidth; // begins the animation anew
  element.classList.add('moved');
}
