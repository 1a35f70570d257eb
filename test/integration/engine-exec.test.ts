import { test } from 'uvu'
import { declareContract } from '../engine/contract.ts'
import { execParts } from '../engine/contract-attach.ts'
import { createDockerRig } from '../engine/docker-rig.ts'

const rig = await createDockerRig(6)
test.after(() => rig.close())
declareContract(test, rig, execParts)

test.run()
