// All that pages are made of, in one import.

export * from "./controls.js";
export * from "./icons.js";
export {Shell, show, useMay, useSession} from "./shell.js";
