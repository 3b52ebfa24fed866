/**
 * Linux names are bytes, not text. Inside the file system code a path is a *byte string*: a JavaScript string in
 * which every UTF-16 unit is one byte (0 to 255), so any name survives exactly and `split`, `===` and Map keys work.
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The byte string of some bytes. */
export function fromBytes(bytes: Uint8Array): string {
  let result = "";
  for (let start = 0; start < bytes.length; start += 4096) {
    result += String.fromCharCode(...bytes.subarray(start, start + 4096));
  }
  return result;
}

/** The bytes of a byte string. */
export function toBytes(value: string): Uint8Array {
  const bytes = new Uint8Array(value.length);
  for (let index = 0; index < value.length; index++) bytes[index] = value.charCodeAt(index);
  return bytes;
}

// oxlint-disable-next-line no-control-regex -- the range is the point
const ascii = /^[\0-\x7f]*$/;

/** The byte string of ordinary text, by its UTF-8 form. */
export function fromText(text: string): string {
  return ascii.test(text) ? text : fromBytes(encoder.encode(text));
}

/** A byte string as text for people; bytes that are not UTF-8 become U+FFFD. */
export function toText(value: string): string {
  return ascii.test(value) ? value : decoder.decode(toBytes(value));
}
