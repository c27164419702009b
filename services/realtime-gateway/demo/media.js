// Camera and microphone, as far as there are any and the person allows them.

/**
 * Opens microphone and, for a video call, camera. Without a camera the call goes on with sound
 * alone. Throws what the browser says when there is no microphone either.
 */
export async function openMedia(callType) {
  if (!navigator.mediaDevices) throw new DOMException("No devices", "SecurityError");
  if (callType === "video") {
    try {
      const video = { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 720 } };
      return await navigator.mediaDevices.getUserMedia({ audio: true, video });
    } catch {
      // Whatever is wrong with the camera, or with both: the microphone alone will tell.
    }
  }
  return navigator.mediaDevices.getUserMedia({ audio: true });
}

/** Turns camera and microphone off for good. */
export function closeMedia(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
