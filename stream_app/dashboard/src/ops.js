/**
 * The operations page: asks what the monitor says every two seconds, while somebody looks at it, and shows it.
 *
 * Place: the entry. Invariant: what is shown is either of the last answer, or said to be old; no answer is ever repeated as if it were new.
 */

import { ApiError, askAt } from './ask.js';
import { History } from './ops/history.js';
import { OpsPage } from './ops/page.js';
import { samplesOf } from './ops/reading.js';
import { OpsText } from './ops/words.js';
import { focusManners } from './pickers.js';
import { read, write } from './query.js';
import { chosenLanguage } from './text.js';
import { onToken, token } from './token.js';

/** @typedef {import('./ops/page.js').State} State */

const PERIOD_MS = 2_000;
const SECONDS_MAX = 10;

let query = read(location.search);
/** @type {State} */
const state = {
  get hasToken() {
    return token() !== null;
  },
  data: null,
  receivedMs: 0,
  problem: null,
};
const past = new History();
let turn = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

function newPage() {
  document.documentElement.dataset.theme = query.theme ?? '';
  const text = new OpsText(chosenLanguage(query.lang, navigator.languages), navigator.languages);
  return new OpsPage(text, query, past, { choose, again: () => void poll() });
}

/** @param {Partial<typeof query>} changes */
function choose(changes) {
  query = { ...query, ...changes };
  history.replaceState(null, '', location.pathname + write(query));
  page = newPage();
  page.render(state);
  focusManners('lang' in changes);
}

/** Ask, show, and do so again; not while nobody looks, nor with a token that was refused. */
async function poll() {
  clearTimeout(timer);
  const mine = ++turn;
  if (!state.hasToken || document.visibilityState !== 'visible') return;
  try {
    const { data } = await askAt('ops/status', {}, SECONDS_MAX);
    if (mine !== turn) return;
    Object.assign(state, { data, receivedMs: Date.now(), problem: null });
    past.take(Date.now(), samplesOf(data));
  } catch (error) {
    if (mine !== turn) return;
    if (!(error instanceof ApiError)) throw error;
    state.problem = error;
    past.take(Date.now(), new Map());
  }
  page.render(state);
  const refused = [401, 403].includes(state.problem?.httpStatus ?? 0);
  if (!refused) timer = setTimeout(poll, PERIOD_MS);
}

let page = newPage();
page.render(state);
document.addEventListener('visibilitychange', () => void poll());
onToken(() => {
  state.problem = null;
  page.render(state);
  void poll();
});
void poll();
