/** PCLMULQDQ, AES and SHA: operands to the vector operand area, one helper call, the vector it leaves. */
import { AesOperation } from "../aes-helpers.ts";
import { helperIndex } from "../helpers.ts";
import { ShaOperation } from "../sha-helpers.ts";
import { Slot } from "../state.ts";
import type { Lifter } from "./context.ts";
import { passOperands } from "./sse-exact.ts";
import { getXmm, type LifterTable, readUnaligned, readVector, setXmm } from "./sse-operands.ts";

const multiplyHelper = helperIndex("carrylessMultiply");
const aesHelper = helperIndex("aes");
const shaHelper = helperIndex("sha");

const pclmulqdq: Lifter = (context, { o0, o1, immediateLow }) => {
  const { b } = context;
  const source = readVector(context, o1);
  passOperands(context, getXmm(context, o0), source);
  context.helper1(multiplyHelper, b.i32(immediateLow & 0x11));
  setXmm(context, o0, b.get(Slot.vectorResult));
};

/**
 * `alone`: the source is the only operand, and passed first. Processors take SHA operands wherever they are, though the
 * manual has them in the class that wants alignment.
 */
function operation(helper: number, code: number, alone = false): Lifter {
  return (context, { o0, o1, immediateLow }) => {
    const { b } = context;
    const source = helper === shaHelper ? readUnaligned(context, o1) : readVector(context, o1);
    if (alone) passOperands(context, source);
    else passOperands(context, getXmm(context, o0), source);
    context.helper2(helper, b.i32(code), b.i32(immediateLow & 0xff));
    setXmm(context, o0, b.get(Slot.vectorResult));
  };
}

export const sseCrypto: LifterTable = {
  pclmulqdq,
  aesenc: operation(aesHelper, AesOperation.encrypt),
  aesenclast: operation(aesHelper, AesOperation.encryptLast),
  aesdec: operation(aesHelper, AesOperation.decrypt),
  aesdeclast: operation(aesHelper, AesOperation.decryptLast),
  aesimc: operation(aesHelper, AesOperation.inverseMix, true),
  aeskeygenassist: operation(aesHelper, AesOperation.assist, true),
  sha1nexte: operation(shaHelper, ShaOperation.sha1nexte),
  sha1msg1: operation(shaHelper, ShaOperation.sha1msg1),
  sha1msg2: operation(shaHelper, ShaOperation.sha1msg2),
  sha1rnds4: operation(shaHelper, ShaOperation.sha1rnds4),
  sha256msg1: operation(shaHelper, ShaOperation.sha256msg1),
  sha256msg2: operation(shaHelper, ShaOperation.sha256msg2),
  sha256rnds2: operation(shaHelper, ShaOperation.sha256rnds2),
};
