// Ethernet addresses (IEEE 802): six bytes, of which a frame has the destination at 0 and the source at 6.

/** As text: six pairs of lower-case hexadecimal digits with colons between. */
export type MacAddress = string;

export const macBytes = 6;
/** Shortest frame with both addresses and a type. */
export const minimumFrameBytes = 14;
/** Longest frame: what a virtual network card with segmentation offload hands over. */
export const maximumFrameBytes = 65_550;

const pattern = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;

/** The complaint about an address that no machine can have, if there is one. */
export function macError(mac: MacAddress): string | undefined {
  if (!pattern.test(mac)) return `"${mac}" is no MAC address: six pairs of lower-case hexadecimal digits, with colons`;
  if (Number.parseInt(mac.slice(0, 2), 16) & 1) return `${mac} is a group address; a machine has one of its own`;
  return undefined;
}

/** The source address of a frame that is long enough to have one. */
export function sourceMac(frame: Uint8Array): MacAddress {
  let text = "";
  for (let at = macBytes; at < 2 * macBytes; at++) {
    text += `${at === macBytes ? "" : ":"}${frame[at].toString(16).padStart(2, "0")}`;
  }
  return text;
}
