// What the server refuses about users and passwords, in the reader's language.

import {has, t} from "../../lib/texts.js";

/**
 * A sentence for an error: the server's own in the reader's language, where the page knows its key.
 * @param {{text: string, key?: string, values?: object}} error
 */
export function errorText(error) {
  const key = `users.error.${error.key}`;
  return error.key && has(key) ? t(key, error.values) : error.text;
}
