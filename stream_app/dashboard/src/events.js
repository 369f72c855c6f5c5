/**
 * The text of a stream of server-sent events, read as it arrives.
 *
 * Place: under `stream`, since EventSource sends no Authorization header. Invariant: how the text is cut into pieces changes nothing.
 */

/** @typedef {{event: string, data: string, id: string}} Message */

export class Parser {
  #rest = '';
  #event = '';
  #id = '';
  /** @type {string[]} */
  #data = [];
  /** @type {number | null} milliseconds, as the server wants a client to wait */
  retry = null;

  /**
   * Read on.
   * @param {string} text
   * @returns {Message[]} the events that are complete now
   */
  take(text) {
    const whole = this.#rest + text;
    const held = whole.endsWith('\r') ? 1 : 0; // a line feed may follow
    const lines = whole.slice(0, whole.length - held).split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? '') + whole.slice(whole.length - held);
    /** @type {Message[]} */
    const found = [];
    for (const line of lines) {
      if (line) this.#field(line);
      else {
        if (this.#data.length) found.push({ event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id });
        this.#event = this.#id = '';
        this.#data = [];
      }
    }
    return found;
  }

  /** @param {string} line */
  #field(line) {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'event') this.#event = value;
    else if (name === 'data') this.#data.push(value);
    else if (name === 'id') this.#id = value;
    else if (name === 'retry' && /^\d+$/.test(value)) this.retry = Number(value);
  }
}
