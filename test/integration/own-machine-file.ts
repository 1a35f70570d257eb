import { mkdirSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { enterMachine } from '../e2e/own-machine.ts'

/** What moves into a machine of its own: makes a control group, tells what it sees, and ends with EXIT, or never. */
const { folder, controlGroup } = await enterMachine()
mkdirSync(`${process.env.HIERARCHY}${controlGroup}`)
console.log(JSON.stringify({ folder, controlGroup, networks: Object.keys(networkInterfaces()) }))
if (process.env.EXIT) process.exit(Number(process.env.EXIT))
setInterval(() => {}, 60_000)
