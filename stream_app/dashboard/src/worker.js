/**
 * The shared worker: the hub of all tabs of a browser, which lives as long as any of them does.
 *
 * Place: started by `link`. Invariant: it holds nothing that a new one could not find out again.
 */

import { Hub } from './hub.js';

const scope = /** @type {{location: Location, onconnect: (event: MessageEvent) => void}} */ (/** @type {unknown} */ (self));
const hub = new Hub(new URL('smart-bi/crm/stream', scope.location.href).href);

scope.onconnect = ({ ports: [port] }) => {
  if (port) port.onmessage = ({ data }) => hub.hear(data, (event) => port.postMessage(event));
};
