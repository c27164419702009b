// The consult protocol's own example 1, as it stands there, except for four things: the base URLs
// come from the environment, the token is sent as `auth`, the class is exported, and its usage is
// in the test that drives it.
import { io, Socket } from 'socket.io-client';
import axios from 'axios';

const API_BASE = `${process.env.CHAT_URL}/api/v1`;
const SOCKET_URL = `${process.env.CHAT_URL}/chat`;

export class ChatService {
  private socket: Socket | null = null;
  private token: string;

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
    this.socket?.disconnect();
  }
}
