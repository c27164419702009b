// One media connection: what the other side signals is handled in the order in which it came.

export class Peer {
  /** The browser's connection. */
  connection;
  #last = Promise.resolve();
  #onProblem;

  /**
   * `callbacks`: `onCandidate(candidate)`, `onStream(stream)` of the other side, `onState(state)` of
   * the connection, and `onProblem(error)`, after which there is no hope.
   */
  constructor(stream, callType, configuration, callbacks) {
    this.connection = new RTCPeerConnection(configuration);
    this.#onProblem = callbacks.onProblem;
    for (const track of stream.getTracks()) this.connection.addTrack(track, stream);
    if (callType === "video" && stream.getVideoTracks().length === 0) {
      // Whoever has no camera can still see the other side.
      this.connection.addTransceiver("video", { direction: "recvonly" });
    }
    this.connection.onicecandidate = ({ candidate }) => {
      if (candidate) callbacks.onCandidate(candidate);
    };
    this.connection.ontrack = ({ streams }) => callbacks.onStream(streams[0]);
    this.connection.onconnectionstatechange = () =>
      callbacks.onState(this.connection.connectionState);
  }

  /** Makes an offer and hands it to `send`. */
  offer(send) {
    this.#inTurn(async () => {
      await this.connection.setLocalDescription();
      send(this.connection.localDescription);
    });
  }

  /** Takes an offer and hands the answer to `send`. */
  answer(offer, send) {
    this.#inTurn(async () => {
      await this.connection.setRemoteDescription(offer);
      await this.connection.setLocalDescription();
      send(this.connection.localDescription);
    });
  }

  /** Takes the answer to our offer. */
  accept(answer) {
    this.#inTurn(() => this.connection.setRemoteDescription(answer));
  }

  /**
   * Takes an address of the other side. One that does not fit belongs to a connection that was given
   * up; should too few remain, this one fails and says so.
   */
  candidate(candidate) {
    this.#inTurn(() => this.connection.addIceCandidate(candidate).catch(() => {}));
  }

  close() {
    this.connection.onconnectionstatechange = null;
    this.connection.close();
  }

  #inTurn(step) {
    this.#last = this.#last.then(async () => {
      try {
        if (this.connection.signalingState !== "closed") await step();
      } catch (error) {
        if (this.connection.signalingState !== "closed") this.#onProblem(error);
      }
    });
  }
}
