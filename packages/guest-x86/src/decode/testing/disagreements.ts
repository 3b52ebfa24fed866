// Where the decoder and iced-x86 read the same bytes differently on purpose, and why.
import type { Mode } from "../instruction.ts";
import type { Difference } from "./compare-iced.ts";

interface Disagreement {
  readonly reason: string;
  /** Which field differs; any if absent. */
  readonly field?: RegExp;
  /** iced's code name. */
  readonly code: RegExp;
  readonly ours?: RegExp;
  readonly mode?: Mode;
}

export const disagreements: readonly Disagreement[] = [
  {
    reason: "AVX, AVX-512, XOP, 3DNow!: no rows yet",
    field: /^valid$/,
    code: /^(VEX|EVEX|XOP|D3NOW)_(?!Andn_|Bextr_|Bls|Bzhi_|Mulx_|Pdep_|Pext_|Rorx_|S(ar|hl|hr)x_)|^Femms$/,
    ours: /^error -2$/,
  },
  {
    reason: "virtualisation (VMX, SVM), SGX, TDX, TXT, SMX: never announced to a guest",
    field: /^valid$/,
    code: /^(Vm|Inv(ept|vpid|lpga|lpgb)|Getsec|Encl|Td|Seam|Skinit|Stgi|Clgi|Rmp|Psmash|Pvalidate|Mcommit|Ccs_|Pconfig)/,
    ours: /^error -2$/,
  },
  {
    reason: "later extensions without rows, which a guest cannot use as CPUID does not announce them",
    field: /^valid$/,
    code: /^(Wrss|Wruss|Rstorssp|Saveprevssp|Setssbsy|Clrssbsy|Incssp|Aadd|Aand|Aor|Axor|Aes\w*kl|Encodekey|Loadiwkey|Gf2p8|Movdir|Enqcmd|Ptwrite|Xabort|Xbegin|Xend|Xtest|Umonitor|Umwait|Tpause|Serialize|Rdpru|Monitorx|Mwaitx|Clzero|Clui|Stui|Testui|Uiret|Senduipi|Hreset|Xsusldtrk|Xresldtrk|Rdmsrlist|Wrmsrlist|Wrmsrns|Pbndkb|Lkgs|Erets|Eretu|Tlbsync)/,
    ours: /^error -2$/,
  },
  {
    reason: "VIA PadLock",
    field: /^valid$/,
    code: /^(Xstore|Xcrypt|Xsha|Montmul|Undoc|Via_)/,
    ours: /^error -2$/,
  },
  {
    reason: "far transfers, returns from traps, HLT and what changes mode or translation end a block: flow is `system`",
    field: /^flow$/,
    code: /^(Hlt|Sti|Clts|Rsm|Wrmsr|Sys(call|ret|enter|exit)|Retf|Iret|Mov_cr|Jmp_(ptr|m)16|Call_(ptr|m)16|Invlpg|Lmsw|Invpcid|Xsetbv|Wrpkru|Mwait)/,
    ours: /^system$/,
  },
  {
    reason: "hint NOPs: only the r/m operand is listed, the reg field is part of the opcode",
    field: /^operand count$/,
    code: /^Reservednop/,
  },
  {
    reason: "hints of later extensions are the NOPs or prefetches they were made from",
    field: /^mnemonic$/,
    code: /^(Prefetchit|Prefetchwt1|Prefetchreserved|Cldemote|Rdssp|Wbnoinvd)/,
    ours: /^(nop|prefetch|wbinvd)$/,
  },
  {
    reason: "the implicit XMM0 is listed as an operand, as in the SDM",
    field: /^operand count$/,
    code: /^(Sha256rnds2|Blendvp[sd]|Pblendvb)_xmm_xmmm128$/,
  },
  {
    reason: "instructions that read 16 bits of a register: iced names the register by the operand size",
    field: /^operand [01]$/,
    code: /^(Arpl|Mov_Sreg|Verr|Verw|Lldt|Ltr|Lmsw)_/,
    ours: /^gpr16/,
  },
  {
    reason: "RCL and RCR by an immediate that is a multiple of 9 or 17: the modulus is not folded, CF reads itself",
    field: /^flags /,
    code: /^Rc[lr]_rm(8|16)_imm8$/,
  },
  {
    reason: "F3 REX.B 90 is XCHG R8, RAX: processors were asked",
    field: /^mnemonic$/,
    code: /^Pause$/,
    ours: /^xchg$/,
    mode: 64,
  },
  {
    reason: "SYSCALL and SYSRET are undefined outside 64-bit mode on Intel's processors",
    field: /^valid$/,
    code: /^(Syscall|Sysret)/,
    ours: /^error -2$/,
  },
];

/** The reason for a difference, or undefined if nobody has explained it. */
export function explain(difference: Difference, mode: Mode): string | undefined {
  for (const { reason, field, code, ours, mode: only } of disagreements) {
    if (
      (field === undefined || field.test(difference.field)) &&
      code.test(difference.code) &&
      (ours === undefined || ours.test(difference.ours)) &&
      (only === undefined || only === mode)
    ) {
      return reason;
    }
  }
  return undefined;
}
