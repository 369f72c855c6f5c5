/**
 * The dashboard's page: query, board and view put together.
 *
 * Place: the entry. What is shown follows from the address (`query`), what is known (`board`) and the language (`text`); each change of one of
 * them is one `render`. Invariant: a render changes what differs and nothing else, so focus, open tables and scrolling stay.
 */

import { Board } from './board.js';
import { chosenLanguage, Text } from './text.js';
import { Page } from './page.js';
import { focusManners } from './pickers.js';
import { read, write } from './query.js';

/** @typedef {import('./query.js').Query} Query */

let query = read(location.search);
let due = false;

/** @param {Query} wanted */
const speaking = (wanted) => new Text(chosenLanguage(wanted.lang, navigator.languages), navigator.languages);

/** @param {Query} wanted @param {boolean} visit does it come into the history? */
function show(wanted, visit) {
  const speech = wanted.lang !== query.lang;
  const dress = wanted.theme !== query.theme;
  query = wanted;
  const address = location.pathname + write(query) + location.hash;
  if (visit) history.pushState(null, '', address);
  board.choose(query);
  if (!speech && !dress) return render();
  page.close();
  page = newPage();
  render();
  focusManners(speech);
}

function newPage() {
  document.documentElement.dataset.theme = query.theme ?? '';
  return new Page(speaking(query), query, {
    choose: (changes) => show({ ...query, ...changes }, true),
    again: () => board.retry(),
  });
}

/** Once for all that changes now. */
function render() {
  if (due) return;
  due = true;
  queueMicrotask(() => {
    due = false;
    page.render(board);
  });
}

const board = new Board(query, render);
let page = newPage();
render();
window.addEventListener('popstate', () => show(read(location.search), false));
setInterval(() => page.tick(board), 1000);
