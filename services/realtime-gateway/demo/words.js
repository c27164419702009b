// What went wrong, in words for people. Codes are stable; the server's own text is the fallback.

/** A request that the server refused, with the code of the refusal. */
export class Refusal extends Error {
  constructor({ message, code, retryAfterMs }) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

const BY_CODE = {
  conflict: "That was already done, perhaps on another device.",
  not_found: "That does not exist any more.",
  rate_limited: "That was too fast. Please wait a moment.",
  token_expired: "Your sign-in has expired. Restart the demo system for fresh ones.",
  token_invalid: "Your sign-in is not valid here. Restart the demo system for fresh ones.",
  token_missing: "You are not signed in.",
  too_large: "That is too large to send.",
  unauthorized: "You may not do that here.",
  unavailable: "This does not work at the moment. Please try again shortly.",
};

// Names of the errors with which browsers refuse camera and microphone.
const BY_NAME = {
  NotAllowedError: "Camera and microphone are blocked for this page. Allow them in the address bar.",
  NotFoundError: "No microphone was found. Plug one in and try again.",
  NotReadableError: "Another program is using the microphone. Close it and try again.",
  SecurityError: "Calls need a page from https or from localhost.",
};

/** Returns what to tell a person about `error`. */
export function inWords(error) {
  return BY_CODE[error?.code] ?? BY_NAME[error?.name] ?? error?.message ?? "Something went wrong.";
}

/** Returns how a call ended, from the `reason` that came with its end. */
export function endInWords(reason) {
  switch (reason) {
    case "answered_elsewhere":
      return "Answered on another device";
    case "declined_elsewhere":
      return "Declined on another device";
    case "Busy":
      return "Busy in another call";
    case undefined:
    case null:
    case "":
      return "Call ended";
    default:
      return reason;
  }
}
