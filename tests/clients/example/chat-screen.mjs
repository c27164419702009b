// The consult protocol's own example 2, as it stands there, except that the base URL comes from the
// environment, the token is sent as `auth`, and what the screen shows and does is returned in place
// of "... rest of component". `react` is the two hooks it uses.
import { io } from 'socket.io-client';

export const screenWith = ({ useState, useEffect }) => {
  const ChatScreen = ({ conversationId, userId, userType, token }) => {
    const [messages, setMessages] = useState([]);
    const [socket, setSocket] = useState(null);

    useEffect(() => {
      // Connect to WebSocket
      const newSocket = io(`${process.env.CHAT_URL}/chat`, {
        transports: ['websocket', 'polling'],
        auth: { token },
      });

      newSocket.on('connect', () => {
        // Join conversation
        newSocket.emit('join_conversation', {
          conversationId,
          userId,
          userType
        });
      });

      newSocket.on('new_message', (data) => {
        setMessages(prev => [...prev, data.message]);
      });

      setSocket(newSocket);

      return () => {
        newSocket.emit('leave_conversation', { conversationId });
        newSocket.disconnect();
      };
    }, [conversationId]);

    const sendMessage = (content) => {
      socket?.emit('send_message', {
        conversationId,
        content,
        senderType: userType
      });
    };

    return { messages, sendMessage };
  };
  return ChatScreen;
};
