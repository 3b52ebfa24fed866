import { describe, expect, it } from "vitest";
import { parseNetworkOption } from "./network-option.ts";

describe("--net", () => {
  it("is a gateway with forwarded ports, or a switch", () => {
    expect(parseNetworkOption("user")).toEqual({ to: { forwards: [] }, mac: undefined });
    expect(parseNetworkOption("user,forward=8080:80,forward=udp:[::1]:53:5353,forward=0.0.0.0:0:22").to).toEqual({
      forwards: [
        { protocol: "tcp", host: { address: "127.0.0.1", port: 8080 }, guestPort: 80 },
        { protocol: "udp", host: { address: "::1", port: 53 }, guestPort: 5353 },
        { protocol: "tcp", host: { address: "0.0.0.0", port: 0 }, guestPort: 22 },
      ],
    });
    expect(parseNetworkOption("switch=unix:/run/switch,mac=52:54:00:AA:bb:01")).toEqual({
      to: { address: "unix:/run/switch" },
      mac: Uint8Array.of(0x52, 0x54, 0, 0xaa, 0xbb, 1),
    });
  });

  it.each([
    ["tap", /is user or switch=ADDRESS, not tap/],
    ["user,forward=80", /write \[tcp:/],
    ["user,forward=8080:99999", /write \[tcp:/],
    ["user,mac=01:00:00:00:00:01", /no address of a card/],
    ["switch=localhost:1,forward=1:2", /forwards no ports/],
    ["user,hostname=x", /none of forward=…, mac=…/],
  ])("refuses %s", (text, message) => {
    expect(() => parseNetworkOption(text)).toThrow(message);
  });
});
