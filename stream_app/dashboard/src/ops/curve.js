/** A small curve of what a number was since the page was opened. Nothing moves but its path; a screen reader is told now and at most. */

import { svg } from '../dom.js';

export class Curve {
  #width;
  #height;
  #area = svg('path', { class: 'area' });
  #line = svg('path', { class: 'line' });
  element;

  /** @param {number} width @param {number} height */
  constructor(width, height) {
    this.#width = width;
    this.#height = height;
    this.element = svg('svg', { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', class: 'curve', role: 'img' }, this.#area, this.#line);
  }

  /**
   * @param {import('./history.js').History} history
   * @param {string} key
   * @param {number} least what the top stands for, at least
   * @param {(curve: import('./history.js').Curve) => string} describe
   * @returns {import('./history.js').Curve | null}
   */
  update(history, key, least, describe) {
    const curve = history.curve(key, this.#width, this.#height, least);
    this.#area.setAttribute('d', curve?.area ?? '');
    this.#line.setAttribute('d', curve?.path ?? '');
    if (curve) this.element.setAttribute('aria-label', describe(curve));
    if (curve) this.element.removeAttribute('aria-hidden');
    else this.element.setAttribute('aria-hidden', 'true');
    return curve;
  }
}
