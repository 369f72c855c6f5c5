/**
 * A chart as PNG: what is on the page, with its title above and its source below.
 *
 * Invariant: the picture can be read without the page: who, which months, which zone, up to when.
 */

import { svg } from './dom.js';

const PADDING = 24;
const HEAD = 62;
const FOOT = 34;
const SCALE = 2;
const COPIED = ['fill', 'stroke', 'stroke-width', 'stroke-dasharray', 'opacity', 'font-family', 'font-size', 'font-weight', 'visibility'];

/**
 * A copy that looks the same without the stylesheet.
 *
 * @param {SVGSVGElement} drawing
 */
function bare(drawing) {
  const copy = /** @type {SVGSVGElement} */ (drawing.cloneNode(true));
  const originals = [drawing, ...drawing.querySelectorAll('*')];
  [copy, ...copy.querySelectorAll('*')].forEach((element, index) => {
    const style = getComputedStyle(/** @type {Element} */ (originals[index]));
    for (const name of COPIED) element.setAttribute(name, style.getPropertyValue(name));
    element.removeAttribute('class');
  });
  return copy;
}

/**
 * @param {string} text
 * @param {number} x
 * @param {number} y
 * @param {string} fill
 * @param {string} font of a canvas: weight and size
 */
function line(text, x, y, fill, font) {
  const [weight = '400', size = '13px'] = font.split(' ');
  return svg('text', { x, y, fill, 'font-weight': weight, 'font-size': size, 'font-family': getComputedStyle(document.body).fontFamily }, text);
}

/**
 * @param {SVGSVGElement} drawing
 * @param {{title: string, subtitle: string, source: string, legend: {text: string, color: string}[]}} words
 * @returns {Promise<Blob>}
 */
export async function png(drawing, { title, subtitle, source, legend }) {
  const style = getComputedStyle(document.body);
  const [ink, muted, ground] = [style.color, resolved(style.getPropertyValue('--muted')), style.backgroundColor];
  const chart = bare(drawing);
  const legendHeight = legend.length ? 22 : 0;
  const width = Number(drawing.getAttribute('width')) + 2 * PADDING;
  const height = Number(drawing.getAttribute('height')) + HEAD + legendHeight + FOOT + PADDING;
  const whole = svg('svg', { width: width * SCALE, height: height * SCALE, viewBox: `0 0 ${width} ${height}` });
  const back = svg('rect', { width, height, fill: ground });
  chart.setAttribute('x', String(PADDING));
  chart.setAttribute('y', String(HEAD + legendHeight));
  whole.append(back, line(title, PADDING, 32, ink, '600 16px'), line(subtitle, PADDING, 52, muted, '400 12px'), chart);
  let x = PADDING;
  for (const { text, color } of legend) {
    const dot = svg('rect', { x, y: HEAD + 4, width: 10, height: 10, rx: 2, fill: color });
    whole.append(dot, line(text, x + 16, HEAD + 13, ink, '400 12px'));
    x += 16 + text.length * 8 + 20;
  }
  whole.append(line(source, PADDING, height - 18, muted, '400 11px'));
  return drawn(whole, width * SCALE, height * SCALE);
}

/** What a colour of the stylesheet is here and now. @param {string} color */
function resolved(color) {
  const probe = document.body.appendChild(document.createElement('i'));
  probe.style.color = color;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/**
 * @param {SVGSVGElement} drawing
 * @param {number} width
 * @param {number} height
 * @returns {Promise<Blob>}
 */
async function drawn(drawing, width, height) {
  const address = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(drawing)], { type: 'image/svg+xml' }));
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    canvas.getContext('2d')?.drawImage(image, 0, 0, width, height);
    return await new Promise((resolve, reject) => {
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('the picture could not be drawn'))), 'image/png');
    });
  } finally {
    URL.revokeObjectURL(address);
  }
}
