/** Just the live layer: what it tells is in `seen`, for the tests to look at. */

import { ask, openLive } from './live.js';
import { token } from './token.js';

const seen = [];
const violations = [];
addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => violations.push(`${violatedDirective} ${blockedURI}`));
const live = openLive((event) => seen.push(event));
const unwatch = {};
const watch = (operatorId, groupId) => (unwatch[groupId] = live.watch(operatorId, groupId));
for (const group of JSON.parse(new URLSearchParams(location.search).get('watch') ?? '[]')) watch(...group);
Object.assign(window, { ask, live, openLive, seen, token, unwatch, violations, watch });
