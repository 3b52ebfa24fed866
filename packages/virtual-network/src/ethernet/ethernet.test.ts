import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatAddress, formatMac, type IPv4Address, type MacAddress, parseAddress, parseMac } from "./addresses.ts";
import { buildArp, parseArp } from "./arp.ts";
import { checksum } from "./checksum.ts";
import { buildFrame, parseFrame } from "./frame.ts";
import { buildIcmp, parseIcmp } from "./icmp.ts";
import { buildFragments, buildIPv4, parseIPv4 } from "./ipv4.ts";
import { buildTcp, parseTcp } from "./tcp.ts";
import { buildUdp, parseUdp } from "./udp.ts";

const mac = fc.nat(2 ** 48 - 1) as fc.Arbitrary<MacAddress>;
const address = fc.integer({ min: 0, max: 2 ** 32 - 1 }) as fc.Arbitrary<IPv4Address>;
const word = fc.nat(0xffff);
const longWord = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const payload = fc.uint8Array({ maxLength: 300 });

const packet = fc.record({
  source: address,
  destination: address,
  protocol: fc.nat(255),
  timeToLive: fc.nat(255),
  identification: word,
  fragmentOffset: fc.nat(1000).map((units) => units * 8),
  moreFragments: fc.boolean(),
  payload,
});
const segment = fc.record(
  {
    sourcePort: word,
    destinationPort: word,
    sequence: longWord,
    acknowledgement: longWord,
    flags: fc.nat(63),
    window: word,
    maximumSegmentSize: word,
    windowScale: fc.nat(14),
    payload,
  },
  { requiredKeys: ["sourcePort", "destinationPort", "sequence", "acknowledgement", "flags", "window", "payload"] },
);

describe("what is built is parsed as it was", () => {
  it("addresses", () => {
    fc.assert(
      fc.property(mac, (value) => {
        expect(parseMac(formatMac(value))).toBe(value);
      }),
    );
    fc.assert(
      fc.property(address, (value) => {
        expect(parseAddress(formatAddress(value))).toBe(value);
      }),
    );
    expect(formatMac(0x5254_0012_3456 as MacAddress)).toBe("52:54:00:12:34:56");
    for (const wrong of ["", "1.2.3", "1.2.3.256", "1.2.3.4.5", "1.2.3.-4"])
      expect(parseAddress(wrong)).toBeUndefined();
  });

  it("frames and ARP", () => {
    fc.assert(
      fc.property(fc.record({ destination: mac, source: mac, type: word, payload }), (frame) => {
        expect(parseFrame(buildFrame(frame))).toEqual(frame);
      }),
    );
    const arp = { operation: word, senderMac: mac, senderAddress: address, targetMac: mac, targetAddress: address };
    fc.assert(
      fc.property(fc.record(arp), (value) => {
        expect(parseArp(buildArp(value))).toEqual(value);
      }),
    );
  });

  it("IPv4 and ICMP", () => {
    fc.assert(
      fc.property(packet, fc.nat(50), (value, padding) => {
        const bytes = buildIPv4(value, value.payload);
        const padded = new Uint8Array(bytes.length + padding);
        padded.set(bytes);
        expect(parseIPv4(padded)).toEqual(value);
      }),
    );
    fc.assert(
      fc.property(fc.record({ type: fc.nat(255), code: fc.nat(255), rest: longWord, payload }), (value) => {
        expect(parseIcmp(buildIcmp(value))).toEqual(value);
      }),
    );
  });

  it("UDP and TCP", () => {
    fc.assert(
      fc.property(address, address, word, word, payload, (from, to, sourcePort, destinationPort, data) => {
        const value = { sourcePort, destinationPort, payload: data };
        expect(parseUdp(buildUdp(value, from, to), from, to)).toEqual(value);
      }),
    );
    fc.assert(
      fc.property(address, address, segment, (from, to, value) => {
        expect(parseTcp(buildTcp(value, from, to), from, to)).toEqual(value);
      }),
    );
  });
});

describe("bad input", () => {
  it("anything at all is parsed or refused, and what is parsed lies within it", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), address, address, (bytes, from, to) => {
        for (const parsed of [
          parseFrame(bytes),
          parseIPv4(bytes),
          parseIcmp(bytes),
          parseUdp(bytes, from, to),
          parseTcp(bytes, from, to),
        ]) {
          expect(parsed?.payload.length ?? 0).toBeLessThanOrEqual(bytes.length);
        }
        parseArp(bytes);
      }),
    );
  });

  it("any one changed byte is noticed by a check sum", () => {
    fc.assert(
      fc.property(
        address,
        address,
        segment,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (from, to, value, at, flip) => {
          const bytes = buildTcp(value, from, to);
          bytes[at % bytes.length] ^= flip;
          expect(parseTcp(bytes, from, to)).toBeUndefined();
        },
      ),
    );
    fc.assert(
      fc.property(packet, fc.nat(19), fc.integer({ min: 1, max: 255 }), (value, at, flip) => {
        const bytes = buildIPv4(value, value.payload);
        bytes[at] ^= flip;
        expect(parseIPv4(bytes)).toBeUndefined();
      }),
    );
  });

  it("TCP options with wrong lengths are refused, unknown ones skipped", () => {
    const [from, to] = [1 as IPv4Address, 2 as IPv4Address];
    const withOptions = (options: readonly number[]): Uint8Array => {
      const bytes = new Uint8Array(28);
      bytes[12] = 7 << 4;
      bytes.set(options, 20);
      const sum = checksum(Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 2, 0, 6, 0, 28, ...bytes));
      bytes[16] = sum >> 8;
      bytes[17] = sum;
      return bytes;
    };
    expect(parseTcp(withOptions([8, 6, 0, 0, 0, 0, 3, 3]), from, to)).toBeUndefined();
    expect(parseTcp(withOptions([2, 0]), from, to)).toBeUndefined();
    expect(parseTcp(withOptions([30, 3, 9, 3, 3, 200, 0]), from, to)?.windowScale).toBe(14);
  });
});

it("a packet larger than the MTU goes in fragments that put together are the packet", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 5000 }), fc.integer({ min: 68, max: 1500 }), (data, mtu) => {
      const header = { source: 1 as IPv4Address, destination: 2 as IPv4Address, protocol: 17, identification: 7 };
      const whole = new Uint8Array(data.length);
      const fragments = buildFragments(header, data, mtu).map((bytes) => {
        expect(bytes.length).toBeLessThanOrEqual(mtu);
        return parseIPv4(bytes)!;
      });
      for (const { fragmentOffset, payload: part } of fragments) whole.set(part, fragmentOffset);
      expect(whole).toEqual(data);
      expect(fragments.map(({ moreFragments }) => moreFragments)).toEqual(
        fragments.map((_, index) => index < fragments.length - 1),
      );
    }),
  );
});
