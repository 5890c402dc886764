// Whether keys are at hand: with a mouse, or without any pointer. Under a finger a field that takes the focus opens a keyboard.
export function hasKeys(): boolean {
  return !matchMedia('(pointer: coarse)').matches
}
