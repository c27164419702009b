// The consult protocol's own example 1 with video calling, as it stands there, except for four things:
// the base URLs come from the environment, the token is sent as `auth`, the class is exported, and
// its usage is in the test that drives it.
import { io, Socket } from 'socket.io-client';
import axios from 'axios';

const API_BASE = `${process.env.CHAT_URL}/api/v1`;
const SOCKET_URL = `${process.env.CHAT_URL}/chat`;

export class ChatService {
  private socket: Socket | null = null;
  private token: string;
  private peerConnection: RTCPeerConnection | null = null;
  private localStream: MediaStream | null = null;
  private remoteStream: MediaStream | null = null;

  constructor(token: string) {
    this.token = token;
  }

  // Initialize WebSocket connection
  connect(userId: string, userType: 'patient' | 'consultant') {
    this.socket = io(SOCKET_URL, {
      transports: ['websocket', 'polling'],
      auth: { token: this.token },
    });

    this.socket.on('connect', () => {
      console.log('Connected:', this.socket?.id);
    });

    // Chat event listeners
    this.socket.on('new_message', (data) => {
      console.log('New message:', data);
      // Update UI with new message
    });

    this.socket.on('messages_read', (data) => {
      console.log('Messages read:', data);
      // Update UI to show read receipts
    });

    this.socket.on('user_typing', (data) => {
      console.log('User typing:', data);
      // Show typing indicator
    });

    this.socket.on('user_stopped_typing', (data) => {
      console.log('User stopped typing');
      // Hide typing indicator
    });

    // Call event listeners
    this.setupCallListeners();
  }

  // Setup all call-related event listeners
  private setupCallListeners() {
    // Ringing started (caller side)
    this.socket?.on('call:ringing', (data) => {
      console.log('Call is ringing...');
      this.playRingbackTone();
      // Show "Calling..." UI
    });

    // Incoming call (recipient side)
    this.socket?.on('call:incoming', (data) => {
      console.log('Incoming call from:', data.fromUserId);
      this.playIncomingRingtone();
      // Show answer/decline UI
    });

    // Call accepted
    this.socket?.on('call:accepted', (data) => {
      console.log('Call accepted');
      this.stopRingbackTone();
      // Start WebRTC connection as caller
    });

    // Stop ringing
    this.socket?.on('call:stop-ringing', () => {
      this.stopRingbackTone();
    });

    // Call connected (recipient confirmation)
    this.socket?.on('call:connected', () => {
      console.log('Call connected');
      this.stopIncomingRingtone();
      // Start WebRTC connection as recipient
    });

    // Call rejected
    this.socket?.on('call:rejected', (data) => {
      console.log('Call rejected:', data.reason);
      this.stopRingbackTone();
      this.cleanup();
      // Show rejection message
    });

    // No answer timeout
    this.socket?.on('call:no-answer', (data) => {
      console.log('No answer');
      this.stopRingbackTone();
      this.cleanup();
      // Show "No answer" message
    });

    // Missed call notification
    this.socket?.on('call:missed', (data) => {
      console.log('Missed call from:', data.fromUserId);
      this.stopIncomingRingtone();
      // Show missed call notification
    });

    // Call ended
    this.socket?.on('call:ended', (data) => {
      console.log('Call ended by:', data.fromUserId);
      this.endCall();
    });

    // WebRTC signaling
    this.setupWebRTCListeners();
  }

  // WebRTC signaling listeners
  private setupWebRTCListeners() {
    this.socket?.on('webrtc:offer', async (data) => {
      console.log('Received offer');
      await this.handleOffer(data.offer, data.fromUserId);
    });

    this.socket?.on('webrtc:answer', async (data) => {
      console.log('Received answer');
      await this.handleAnswer(data.answer);
    });

    this.socket?.on('webrtc:ice-candidate', async (data) => {
      console.log('Received ICE candidate');
      await this.handleIceCandidate(data.candidate);
    });
  }

  // Join a conversation
  joinConversation(conversationId: string, userId: string, userType: string) {
    this.socket?.emit('join_conversation', {
      conversationId,
      userId,
      userType
    });
  }

  // Send a message
  sendMessage(conversationId: string, content: string, senderType: string) {
    this.socket?.emit('send_message', {
      conversationId,
      content,
      senderType
    });
  }

  // Typing indicators
  startTyping(conversationId: string, userId: string, userType: string) {
    this.socket?.emit('typing_start', {
      conversationId,
      userId,
      userType
    });
  }

  stopTyping(conversationId: string, userId: string) {
    this.socket?.emit('typing_stop', {
      conversationId,
      userId
    });
  }

  // Mark messages as read
  markAsRead(conversationId: string, messageIds: string[]) {
    this.socket?.emit('mark_read', {
      conversationId,
      messageIds
    });
  }

  // CALL FUNCTIONS

  // Initiate a call
  async initiateCall(
    toUserId: string,
    conversationId: string,
    callType: 'video' | 'audio'
  ) {
    // Get local media stream
    await this.setupLocalMedia(callType);

    // Emit call initiation
    this.socket?.emit('call:initiate', {
      toUserId,
      conversationId,
      callType
    });

    // Create peer connection and send offer
    await this.createPeerConnection(toUserId);
    await this.createAndSendOffer(toUserId);
  }

  // Accept incoming call
  async acceptCall(callerId: string, callType: 'video' | 'audio') {
    // Get local media stream
    await this.setupLocalMedia(callType);

    // Emit call acceptance
    this.socket?.emit('call:accept', {
      toUserId: callerId
    });

    // Peer connection will be created when offer is received
  }

  // Reject incoming call
  rejectCall(callerId: string, reason: string = 'Busy') {
    this.socket?.emit('call:reject', {
      toUserId: callerId,
      reason
    });
    this.stopIncomingRingtone();
  }

  // End active call
  endCall() {
    if (this.peerConnection) {
      this.peerConnection.close();
      this.peerConnection = null;
    }

    if (this.localStream) {
      this.localStream.getTracks().forEach(track => track.stop());
      this.localStream = null;
    }

    this.remoteStream = null;
    // Notify UI to close call screen
  }

  // WEBRTC FUNCTIONS

  private async setupLocalMedia(callType: 'video' | 'audio') {
    try {
      this.localStream = await navigator.mediaDevices.getUserMedia({
        video: callType === 'video',
        audio: true
      });
      // Attach to UI video element
      console.log('Local media setup complete');
    } catch (error) {
      console.error('Failed to get media:', error);
      throw error;
    }
  }

  private async createPeerConnection(remoteUserId: string) {
    const config: RTCConfiguration = {
      iceServers: [
        { urls: 'stun:stun.l.google.com:19302' },
        { urls: 'stun:stun1.l.google.com:19302' }
      ]
    };

    this.peerConnection = new RTCPeerConnection(config);

    // Add local tracks
    this.localStream?.getTracks().forEach(track => {
      this.peerConnection?.addTrack(track, this.localStream!);
    });

    // Handle remote stream
    this.peerConnection.ontrack = (event) => {
      this.remoteStream = event.streams[0];
      // Attach to UI video element
      console.log('Remote stream received');
    };

    // Handle ICE candidates
    this.peerConnection.onicecandidate = (event) => {
      if (event.candidate) {
        this.socket?.emit('webrtc:ice-candidate', {
          toUserId: remoteUserId,
          candidate: event.candidate
        });
      }
    };
  }

  private async createAndSendOffer(remoteUserId: string) {
    if (!this.peerConnection) return;

    const offer = await this.peerConnection.createOffer();
    await this.peerConnection.setLocalDescription(offer);

    this.socket?.emit('webrtc:offer', {
      toUserId: remoteUserId,
      offer
    });
  }

  private async handleOffer(offer: RTCSessionDescriptionInit, fromUserId: string) {
    await this.createPeerConnection(fromUserId);
    
    if (!this.peerConnection) return;

    await this.peerConnection.setRemoteDescription(offer);
    const answer = await this.peerConnection.createAnswer();
    await this.peerConnection.setLocalDescription(answer);

    this.socket?.emit('webrtc:answer', {
      toUserId: fromUserId,
      answer
    });
  }

  private async handleAnswer(answer: RTCSessionDescriptionInit) {
    if (!this.peerConnection) return;
    await this.peerConnection.setRemoteDescription(answer);
  }

  private async handleIceCandidate(candidate: RTCIceCandidateInit) {
    if (!this.peerConnection) return;
    await this.peerConnection.addIceCandidate(candidate);
  }

  // AUDIO MANAGEMENT

  private ringbackAudio: HTMLAudioElement | null = null;
  private incomingAudio: HTMLAudioElement | null = null;

  private playRingbackTone() {
    this.ringbackAudio = new Audio('/sounds/ringback.mp3');
    this.ringbackAudio.loop = true;
    this.ringbackAudio.play().catch(err => {
      console.error('Failed to play ringback:', err);
    });
  }

  private stopRingbackTone() {
    if (this.ringbackAudio) {
      this.ringbackAudio.pause();
      this.ringbackAudio.currentTime = 0;
      this.ringbackAudio = null;
    }
  }

  private playIncomingRingtone() {
    this.incomingAudio = new Audio('/sounds/incoming.mp3');
    this.incomingAudio.loop = true;
    this.incomingAudio.play().catch(err => {
      console.error('Failed to play incoming ringtone:', err);
    });
  }

  private stopIncomingRingtone() {
    if (this.incomingAudio) {
      this.incomingAudio.pause();
      this.incomingAudio.currentTime = 0;
      this.incomingAudio = null;
    }
  }

  private cleanup() {
    this.stopRingbackTone();
    this.stopIncomingRingtone();
    this.endCall();
  }

  // REST API METHODS

  // Fetch conversation history (REST)
  async getMessages(conversationId: string, limit = 50, offset = 0) {
    const response = await axios.get(
      `${API_BASE}/chat/conversations/${conversationId}/messages`,
      {
        params: { limit, offset },
        headers: {
          Authorization: `Bearer ${this.token}`,
          'X-Client-Type': 'mobile'
        }
      }
    );
    return response.data;
  }

  // Get all conversations (REST)
  async getConversations(userId: string, userType: 'patient' | 'consultant') {
    const queryParam = userType === 'patient' ? 'patientId' : 'consultantId';
    const response = await axios.get(
      `${API_BASE}/chat/conversations?${queryParam}=${userId}`,
      {
        headers: {
          Authorization: `Bearer ${this.token}`,
          'X-Client-Type': 'mobile'
        }
      }
    );
    return response.data;
  }

  // Create conversation (REST)
  async createConversation(
    consultantId: string,
    patientId: string,
    bookingId: string
  ) {
    const response = await axios.post(
      `${API_BASE}/chat/conversations`,
      { consultantId, patientId, bookingId },
      {
        headers: {
          Authorization: `Bearer ${this.token}`,
          'X-Client-Type': 'mobile'
        }
      }
    );
    return response.data;
  }

  // Disconnect
  disconnect() {
    this.cleanup();
    this.socket?.disconnect();
  }
}
