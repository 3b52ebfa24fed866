/** An Ed25519 key for the guest's SSH server, in the forms that OpenSSH reads (its PROTOCOL.key; RFC 8709). */
import { createHash, generateKeyPairSync } from "node:crypto";

const TYPE = "ssh-ed25519";
const MAGIC = "openssh-key-v1\0";
/** What an unencrypted key is padded to. */
const BLOCK_BYTES = 8;
const LINE_CHARACTERS = 70;

export interface SshKey {
  /** A line for authorized_keys. */
  readonly publicLine: string;
  readonly privateFile: string;
}

export function generateSshKey(comment: string): SshKey {
  const { privateKey } = generateKeyPairSync("ed25519");
  const { x = "", d = "" } = privateKey.export({ format: "jwk" });
  const publicKey = Buffer.from(x, "base64url");
  const secret = Buffer.from(d, "base64url");
  const publicBlob = Buffer.concat([field(TYPE), field(publicKey)]);
  // The same number twice shows a reader that it decrypted right; here nothing is encrypted, so any will do.
  const check = createHash("sha256").update(publicKey).digest().subarray(0, 4);
  const fields = [
    check,
    check,
    field(TYPE),
    field(publicKey),
    field(Buffer.concat([secret, publicKey])),
    field(comment),
  ];
  const length = fields.reduce((sum, each) => sum + each.length, 0);
  const padding = Uint8Array.from({ length: -length & (BLOCK_BYTES - 1) }, (_, index) => index + 1);
  const file = Buffer.concat([
    Buffer.from(MAGIC),
    field("none"),
    field("none"),
    field(""),
    Buffer.from([0, 0, 0, 1]),
    field(publicBlob),
    field(Buffer.concat([...fields, padding])),
  ]);
  const lines = file.toString("base64").match(new RegExp(`.{1,${LINE_CHARACTERS}}`, "g")) ?? [];
  return {
    publicLine: `${TYPE} ${publicBlob.toString("base64")} ${comment}`,
    privateFile: ["-----BEGIN OPENSSH PRIVATE KEY-----", ...lines, "-----END OPENSSH PRIVATE KEY-----", ""].join("\n"),
  };
}

/** A length in 32 bits, big-endian, then so many bytes. */
function field(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
