import { test } from 'uvu'
import { declareContract, stops } from '../engine/contract.ts'
import { attachParts, execParts } from '../engine/contract-attach.ts'
import { createDockerRig } from '../engine/docker-rig.ts'

/** Commands in images do as those above a slug, though what stands above them is another script. */
const rig = await createDockerRig(11)
test.after(() => rig.close())

declareContract(test, { ...rig, asImage: true }, [stops, ...attachParts, ...execParts])

test.run()
