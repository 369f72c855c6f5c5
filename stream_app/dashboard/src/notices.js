/**
 * What is said when not all is well: instead of the numbers when there are none, above them when they are old.
 *
 * Invariant: numbers that were shown stay; only what they are worth is said.
 *
 * @typedef {'token' | 'loading' | 'empty' | 'failed' | 'shown'} Phase
 */

import { h } from './dom.js';

/** @typedef {import('./board.js').Board} Board */
/** @typedef {import('./text.js').Text} Text */
/** @typedef {import('./text.js').Key} Key */

/** @param {Board} board @returns {Phase} */
export function phaseOf(board) {
  if (!board.hasToken) return 'token';
  if (board.isEmpty) return 'empty';
  if (board.sides.length && board.sides.every((side) => side.monthly && side.distribution)) return 'shown';
  const refused = ['expired', 'denied', 'error', 'disconnected'].includes(board.state.status);
  return board.problem || refused ? 'failed' : 'loading';
}

/**
 * @typedef {object} Trouble
 * @property {'expired' | 'denied' | 'error' | 'disconnected' | 'stale'} kind
 * @property {string} title
 * @property {string} words
 * @property {string} detail
 */

/** What is wrong, if anything. @param {Board} board @param {Text} text @returns {Trouble | null} */
export function troubleOf({ state, problem }, text) {
  const code = problem?.code ?? state.code;
  /** @type {Trouble['kind'] | null} */
  const kind =
    code === 40101 || state.status === 'expired' ? 'expired'
    : code === 40301 || code === 40302 || state.status === 'denied' ? 'denied'
    : state.status === 'disconnected' || problem?.httpStatus === 0 ? 'disconnected'
    : problem || state.status === 'error' ? 'error'
    : state.stale ? 'stale'
    : null;
  if (kind === null) return null;
  const message = problem?.message || state.message || '';
  const said = code ? text.say('errorText', { message, code }) : text.say('errorTextOnly', { message });
  const id = problem?.requestId ? text.say('errorId', { id: problem.requestId }) : '';
  const told = kind === 'error' ? [id] : kind === 'denied' ? [said, id] : [];
  const words = kind === 'error' ? said : text.say(`${kind}Text`);
  return { kind, title: text.say(`${kind}Title`), words, detail: told.filter(Boolean).join(' · ') };
}

/** A command to be copied. @param {Text} text @param {string} command */
export function command(text, command) {
  const code = h('code', { text: command });
  const copy = h('button', {
    type: 'button',
    text: text.say('copy'),
    click: async () => {
      try {
        await navigator.clipboard.writeText(command);
        copy.textContent = text.say('copied');
      } catch {
        getSelection()?.selectAllChildren(code); // a frame may not: it is marked, to be copied by hand
      }
    },
  });
  return h('div', { class: 'command' }, code, navigator.clipboard ? copy : null);
}

/** A field for a token. @param {Text} text */
export function tokenForm(text) {
  const field = h('input', { type: 'password', autocomplete: 'off', spellcheck: 'false', required: true, id: 'token' });
  return h(
    'form',
    {
      class: 'token',
      submit: (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        location.hash = `#token=${encodeURIComponent(field.value.trim())}`;
      },
    },
    h('label', { for: 'token', text: text.say('tokenLabel') }),
    field,
    h('button', { type: 'submit', class: 'primary', text: text.say('tokenUse') }),
  );
}

/**
 * What is wrong, and what can be done about it here.
 *
 * @param {{kind: Trouble['kind'], title: string, words: string, detail?: string}} trouble
 * @param {Element | null} action
 */
export const bannerOf = ({ kind, title, words, detail }, action) =>
  h(
    'div',
    { class: `banner ${kind}`, 'data-trouble': kind },
    h('div', {}, h('h2', { text: title }), h('p', { text: words }), detail ? h('p', { class: 'detail', text: detail }) : null),
    action,
  );

/**
 * Above the numbers, or instead of them.
 *
 * @param {Text} text
 * @param {Trouble} trouble
 * @param {() => void} again
 */
export function banner(text, trouble, again) {
  const { kind } = trouble;
  const retry = h('button', { type: 'button', text: text.say('again'), click: again });
  return bannerOf(trouble, kind === 'expired' ? tokenForm(text) : kind === 'error' || kind === 'denied' ? retry : null);
}

/** @param {Text} text */
export const needToken = (text) =>
  h(
    'div',
    { class: 'empty card' },
    h('h2', { text: text.say('tokenTitle') }),
    h('p', { text: text.say('tokenText') }),
    command(text, 'make token ARGS="--operator M1"'),
    tokenForm(text),
  );

/**
 * @param {Text} text
 * @param {string | null} operatorId
 * @param {boolean} known was the operator announced, with its currency?
 */
export const empty = (text, operatorId, known) =>
  h(
    'div',
    { class: 'empty card' },
    h('h2', { text: text.say('emptyTitle') }),
    h('p', { text: text.say('emptyText') }),
    command(text, payCommand(operatorId ?? 'M1', known)),
  );

/** As a shell takes it. @param {string} operatorId @param {boolean} known */
function payCommand(operatorId, known) {
  const currency = known ? '' : ' --currency EUR';
  const plain = /^[\w.-]+$/.test(operatorId) ? operatorId : `'${operatorId.replaceAll("'", `'\\''`)}'`;
  return `make pay ARGS="--operator ${plain} --amount 12.50${currency}"`;
}

/** @param {Text} text */
export const loading = (text) =>
  h(
    'div',
    { class: 'loading', 'aria-busy': 'true' },
    h('p', { class: 'hidden', text: text.say('loading') }),
    ...Array.from({ length: 8 }, (_, i) => h('div', { class: `card bone ${i < 4 ? 'short' : 'tall'}` })),
  );
