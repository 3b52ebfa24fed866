import { MemoryDevice } from "@doppel/mirror-storage";
import { checkpointableContract } from "./checkpointable-contract.ts";
import { History } from "./history.ts";
import { encodeRequest, toySectorBytes, toySectors, ToyMachine } from "./toy-machine.ts";

checkpointableContract("the toy machine", () => {
  const machine = new ToyMachine({ history: new History(), transmit: () => "taken" });
  machine.disk = new MemoryDevice({ sectorSize: toySectorBytes, sectorCount: toySectors });
  machine.run();
  let sequence = 0;
  const work = async (): Promise<void> => {
    sequence++;
    for (let client = 0; client < 3; client++) {
      machine.receive(encodeRequest({ client, sequence, value: sequence * client, generation: 0 }));
    }
    machine.tick(sequence * 3, 4);
    if (sequence % 2 === 0) machine.setCachePurgeable(sequence % 4 === 0);
    await new Promise((resolve) => setTimeout(resolve, 1));
  };
  return { machine, work };
});
