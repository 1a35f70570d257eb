import { test } from 'uvu'
import { declareContract } from '../engine/contract.ts'
import { attachParts } from '../engine/contract-attach.ts'
import { createDockerRig } from '../engine/docker-rig.ts'

const rig = await createDockerRig(3)
test.after(() => rig.close())
declareContract(test, rig, attachParts)

test.run()
