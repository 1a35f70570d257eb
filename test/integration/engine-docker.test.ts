import { test } from 'uvu'
import { declareContract } from '../engine/contract.ts'
import { createDockerRig } from '../engine/docker-rig.ts'

const rig = await createDockerRig(0)
test.after(() => rig.close())
declareContract(test, rig)

test.run()
