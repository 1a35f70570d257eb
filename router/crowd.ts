/** Who is in a crowd, and where: in one at a time. */
export interface Member {
  seat: number
}

/** A set whose members know their seats: coming and going costs no hash of objects that live for one request. */
export class Crowd<T extends Member> {
  private readonly seats: T[] = []

  get size(): number {
    return this.seats.length
  }

  add(one: T): void {
    if (this.seats[one.seat] === one) return
    one.seat = this.seats.length
    this.seats.push(one)
  }

  /** False when it was not there. */
  delete(one: T): boolean {
    const { seats } = this
    if (seats[one.seat] !== one) return false
    const last = seats.pop()
    if (last !== undefined && last !== one) {
      seats[one.seat] = last
      last.seat = one.seat
    }
    one.seat = -1
    return true
  }

  /** Those that are in it now. */
  list(): T[] {
    return [...this.seats]
  }
}
