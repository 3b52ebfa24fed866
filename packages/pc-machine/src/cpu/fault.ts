/** Exceptions that the processor meets while it carries out an instruction itself. */
import { Vector } from "@doppel/guest-x86";

export const NO_ERROR_CODE = -1;

/** Thrown inside the processor, and delivered to the guest: never leaves it. */
export class ProcessorFault extends Error {
  override name = "ProcessorFault";
  vector = 0;
  /** Or NO_ERROR_CODE. */
  errorCode: number = NO_ERROR_CODE;
}

// Faults are part of a running guest's life, and an object with a stack trace is slow to make: there is one.
const fault = new ProcessorFault();
function make(vector: number, errorCode: number): ProcessorFault {
  fault.vector = vector;
  fault.errorCode = errorCode;
  return fault;
}

export function generalProtection(errorCode = 0): ProcessorFault {
  return make(Vector.generalProtection, errorCode);
}
export function invalidOpcode(): ProcessorFault {
  return make(Vector.invalidOpcode, NO_ERROR_CODE);
}
export function deviceNotAvailable(): ProcessorFault {
  return make(Vector.deviceNotAvailable, NO_ERROR_CODE);
}
export function segmentNotPresent(selector: number): ProcessorFault {
  return make(Vector.segmentNotPresent, selector & 0xfffc);
}
export function stackFault(errorCode: number): ProcessorFault {
  return make(Vector.stackFault, errorCode);
}
export function invalidTss(selector: number): ProcessorFault {
  return make(Vector.invalidTss, selector & 0xfffc);
}
export function pageFault(errorCode: number): ProcessorFault {
  return make(Vector.pageFault, errorCode);
}
