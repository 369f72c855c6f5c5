/**
 * A chart on the page: title, what is pointed at in words, the drawing, its table, and saving of both.
 *
 * Invariants: what is drawn can be read without it: by the table, or point by point with the arrow keys; a change of numbers moves neither the
 * focus nor what is open.
 */

import { draw } from './columns.js';
import { csv } from './csv.js';
import { h, save, setText, svg } from './dom.js';
import { png } from './picture.js';

/** @typedef {import('./charts_view.js').Chart} Chart */
/** @typedef {import('./text.js').Text} Text */
/** @typedef {{who: string, source: string, file: string}} Around what the page says besides */

const HEIGHT = 232;
const HEIGHT_SLOTS = 248;
const PRINT_WIDTH = 400;
const PRINT_WIDTH_WIDE = 840;
const PRINT_HEIGHT = 122;
const PRINT_HEIGHT_WIDE = 96;

export class ChartFrame {
  #text;
  #announce;
  #wide;
  /** @type {Chart | null} */
  #chart = null;
  /** @type {Around} */
  around = { who: '', source: '', file: '' };
  /** @type {import('./columns.js').Drawn | null} */
  #drawn = null;
  /** @type {number | null} */
  #pointed = null;
  #drawnFor = '';
  #paper = false;
  #title = h('h3');
  #is = h('p', { class: 'is' });
  #value = h('p', { class: 'readout' });
  #svg = svg('svg', { 'aria-hidden': 'true' });
  #plot;
  #legend = h('ul', { class: 'legend' });
  #notes = h('div', { class: 'notes' });
  #table = h('table');
  #caption = h('caption', { class: 'hidden' });
  #csv;
  #png;

  /**
   * @param {Text} text
   * @param {string} id
   * @param {(words: string) => void} announce
   * @param {boolean} wide a row of its own
   * @param {HTMLElement | null} controls of this chart alone
   */
  constructor(text, id, announce, wide = false, controls = null) {
    this.#text = text;
    this.#announce = announce;
    this.#wide = wide;
    this.#plot = h('div', {
      class: 'plot',
      tabindex: 0,
      role: 'group',
      pointermove: (/** @type {PointerEvent} */ event) => this.#move(event),
      pointerdown: (/** @type {PointerEvent} */ event) => this.#move(event),
      pointerleave: () => this.#point(null),
      blur: () => this.#point(null),
      keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
    });
    this.#plot.append(this.#svg);
    this.#csv = h('button', { type: 'button', text: text.say('csv'), click: () => this.#saveCsv() });
    this.#png = h('button', { type: 'button', text: text.say('png'), click: () => this.#savePng() });
    this.element = h(
      'article',
      { class: wide ? 'chart card wide' : 'chart card', id },
      h('header', {}, h('div', { class: 'words' }, this.#title, this.#value), h('div', { class: 'actions' }, this.#csv, this.#png)),
      controls,
      this.#legend,
      this.#plot,
      this.#notes,
      this.#is,
      h('details', {}, h('summary', { text: text.say('table') }), h('div', { class: 'scroll', tabindex: 0, role: 'group' }, this.#table)),
    );
    new ResizeObserver(() => this.#draw()).observe(this.#plot);
  }

  /** With `around` set before. @param {Chart} chart */
  update(chart) {
    this.#chart = chart;
    setText(this.#title, chart.title);
    setText(this.#is, chart.is);
    this.#plot.setAttribute('aria-label', this.#text.say('keys', { title: chart.title, summary: chart.summary }));
    this.#csv.setAttribute('aria-label', this.#text.say('saveCsv', { title: chart.title }));
    this.#png.setAttribute('aria-label', this.#text.say('savePng', { title: chart.title }));
    this.element.querySelector('.scroll')?.setAttribute('aria-label', chart.title);
    this.#legend.replaceChildren(
      ...chart.legend.map(({ side, light, text }) => h('li', {}, h('span', { class: `key side${side}${light ? ' light' : ''}` }), text)),
    );
    this.#notes.replaceChildren(...chart.notes.map((text) => h('p', { text })));
    setText(this.#caption, `${chart.title}, ${this.around.who}`);
    this.#fillTable(chart);
    this.#draw();
    this.#point(this.#pointed);
  }

  /** Draw for paper, or for the screen again. @param {boolean} paper */
  print(paper) {
    this.#paper = paper;
    this.#draw();
  }

  /** @param {Chart} chart */
  #fillTable({ table: { head, rows, partial } }) {
    const cells = (/** @type {string[]} */ row) => row.map((value, i) => h(i ? 'td' : 'th', i ? {} : { scope: 'row' }, value));
    this.#table.replaceChildren(
      this.#caption,
      h('thead', {}, h('tr', {}, ...head.map((value) => h('th', { scope: 'col', text: value })))),
      h('tbody', {}, ...rows.map((row, i) => h('tr', { class: partial[i] ? 'partial' : null }, ...cells(row)))),
    );
  }

  #draw() {
    const width = this.#paper ? (this.#wide ? PRINT_WIDTH_WIDE : PRINT_WIDTH) : this.#plot.clientWidth;
    if (!this.#chart || !width) return;
    const { points, legend, peaks, axis } = this.#chart;
    const height = this.#paper ? (this.#wide ? PRINT_HEIGHT_WIDE : PRINT_HEIGHT) : points.length > 30 ? HEIGHT_SLOTS : HEIGHT;
    const drawnFor = JSON.stringify([width, height, points, legend.length, peaks, axis(1)]);
    if (drawnFor === this.#drawnFor) return;
    this.#drawnFor = drawnFor;
    this.#drawn = draw(this.#svg, this.#chart, width, height);
    this.#drawn.point(this.#pointed);
  }

  /** @param {number | null} index */
  #point(index) {
    const chart = this.#chart;
    const at = index === null || !chart ? null : Math.min(index, chart.points.length - 1);
    this.#pointed = at;
    this.#drawn?.point(at);
    const point = chart?.points[at ?? chart.first];
    if (!chart || !point) return;
    const label = at === null && chart.peaks.length === 1 && chart.peaks[0] !== null ? this.#text.say('peak', { range: point.label }) : point.label;
    this.#value.replaceChildren(
      ...point.bars.map((bar, side) =>
        h('span', { class: 'read' }, point.bars.length > 1 ? h('span', { class: `key side${side}` }) : null, h('b', { text: bar.said })),
      ),
      h('span', { class: 'when', text: label }),
    );
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (this.#drawn) this.#point(this.#drawn.index(event.clientX - this.#svg.getBoundingClientRect().left));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const chart = this.#chart;
    if (!chart) return;
    const last = chart.points.length - 1;
    const now = this.#pointed;
    /** @type {Record<string, number | null>} */
    const moves = {
      ArrowLeft: Math.max(0, (now ?? chart.first + 1) - 1),
      ArrowRight: Math.min(last, (now ?? chart.first - 1) + 1),
      Home: 0,
      End: last,
      Escape: null,
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const index = moves[event.key] ?? null;
    this.#point(index);
    const point = index === null ? undefined : chart.points[index];
    if (point) this.#announce(this.#text.say('announcePoint', { label: point.label, value: point.bars.map((bar) => bar.said).join(' | ') }));
  }

  #saveCsv() {
    if (this.#chart) save(`${this.around.file}-${this.#chart.id}.csv`, 'text/csv;charset=utf-8', csv(this.#chart.csv.head, this.#chart.csv.rows));
  }

  async #savePng() {
    const chart = this.#chart;
    if (!chart) return;
    const keys = [...this.#legend.querySelectorAll('.key')];
    const blob = await png(this.#svg, {
      title: `${chart.title} – ${this.around.who}`,
      subtitle: chart.peaks.length ? chart.summary : chart.is,
      source: [this.around.source, ...chart.notes].join(' · '),
      legend: chart.legend.map(({ text }, i) => ({ text, color: getComputedStyle(/** @type {Element} */ (keys[i])).backgroundColor })),
    });
    save(`${this.around.file}-${chart.id}.png`, 'image/png', blob);
  }
}
