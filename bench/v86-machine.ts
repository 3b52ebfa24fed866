/** v86 as a command: FIRMWARE-FOLDER KERNEL COMMAND-LINE MEMORY-MIB, its serial port as standard output. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { V86 } from "v86";

const [folder, kernel, commandLine, memory] = process.argv.slice(2);

function image(path: string): { buffer: ArrayBuffer } {
  const { buffer, byteOffset, length } = readFileSync(path);
  return { buffer: buffer.slice(byteOffset, byteOffset + length) };
}

const machine = new V86({
  wasm_path: fileURLToPath(import.meta.resolve("v86/build/v86.wasm")),
  memory_size: Number(memory) * 2 ** 20,
  bios: image(join(folder, "bios.bin")),
  vga_bios: image(join(folder, "vgabios-stdvga.bin")),
  multiboot: image(kernel),
  cmdline: commandLine,
  autostart: true,
});
machine.add_listener("serial0-output-byte", (byte: number) => process.stdout.write(String.fromCharCode(byte)));
