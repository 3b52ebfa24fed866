import { describe, expect, it } from "vitest";
import { parseNetworkOption } from "./network-option.ts";

describe("--net", () => {
  it("is a gateway with forwarded ports, or a switch", () => {
    expect(parseNetworkOption("user")).toEqual({ to: { forwards: [], reachesHost: false }, mac: undefined });
    expect(parseNetworkOption("user,forward=8080:80,forward=udp:[::1]:53:5353,forward=0.0.0.0:0:22").to).toMatchObject({
      forwards: [
        { protocol: "tcp", host: { address: "127.0.0.1", port: 8080 }, guestPort: 80 },
        { protocol: "udp", host: { address: "::1", port: 53 }, guestPort: 5353 },
        { protocol: "tcp", host: { address: "0.0.0.0", port: 0 }, guestPort: 22 },
      ],
    });
    expect(parseNetworkOption("user,host=on,network=192.168.7.0/24,listen=unix:/run/switch").to).toMatchObject({
      reachesHost: true,
      listen: "unix:/run/switch",
      plan: { prefixLength: 24 },
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
    ["switch=localhost:1,forward=1:2", /forward= belongs to a gateway/],
    ["user,hostname=x", /none of forward=…, host=…, network=…, listen=…, mac=…/],
    ["user,host=yes", /host is on or off/],
    ["user,network=10.0.2.1/24", /is no network/],
    ["user,network=10.0.2.0/30", /is no network/],
  ])("refuses %s", (text, message) => {
    expect(() => parseNetworkOption(text)).toThrow(message);
  });
});
