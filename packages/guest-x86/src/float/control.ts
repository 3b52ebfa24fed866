/**
 * The bits shared by the x87 control and status words and by MXCSR.
 *
 * The one idea: every arithmetic function of this folder takes the whole control word and returns the whole set
 * of status bits it would raise, in the architectural positions, so that no caller has to translate either.
 * Sources: Intel SDM Vol. 1, 8.1.3 (status word), 8.1.5 (control word), 10.2.3 (MXCSR).
 */

/** Invalid operation. */
export const IE = 0x01;
/** Denormal operand. */
export const DE = 0x02;
/** Division by zero. */
export const ZE = 0x04;
/** Overflow. */
export const OE = 0x08;
/** Underflow. */
export const UE = 0x10;
/** Precision (inexact result). */
export const PE = 0x20;
/** x87 stack fault; always together with {@link IE}. */
export const SF = 0x40;
/** x87 error summary: an unmasked exception is pending. */
export const ES = 0x80;
/** x87 condition codes. C1 also says "rounded up", or the direction of a stack fault. */
export const C0 = 0x100;
export const C1 = 0x200;
export const C2 = 0x400;
export const C3 = 0x4000;
/** x87 busy, a copy of {@link ES} since the 387. */
export const BUSY = 0x8000;

/** Exceptions found before computing: unmasked, they leave the destination unwritten. */
export const PRE_COMPUTATION: number = IE | DE | ZE;

/** Rounding control, as in bits 10-11 of FCW and 13-14 of MXCSR. */
export const ROUND_NEAREST = 0;
export const ROUND_DOWN = 1;
export const ROUND_UP = 2;
export const ROUND_ZERO = 3;

/** FCW after FNINIT: all masked, 64-bit precision, round to nearest even. */
export const FCW_DEFAULT = 0x037f;
/** FCW bits that hold a mask, precision control or rounding control; bit 6 always reads as one. */
export const FCW_WRITABLE = 0x1f3f;

/** MXCSR after reset: all masked, round to nearest even. */
export const MXCSR_DEFAULT = 0x1f80;
export const MXCSR_DAZ = 0x0040;
export const MXCSR_FTZ = 0x8000;
/** Distance between an exception's flag and its mask in MXCSR. */
export const MXCSR_MASK_SHIFT = 7;
