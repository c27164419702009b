// The care protocol's own examples, as they stand there, except that the base URL comes from the
// environment and that what surrounds them (the page, the two hooks) is handed in and what they
// define is returned.
import io from 'socket.io-client';

export const clientWith = ({ localStorage, displayMessage }) => {
  // Connect to WebSocket
  const socket = io(process.env.CHAT_URL, {
    auth: {
      token: localStorage.getItem('jwt_token')
    }
  });

  // Listen for new messages
  socket.on('new_message', (data) => {
    displayMessage(data.message);
  });

  // Send a message
  function sendMessage(receiverId, content) {
    socket.emit('send_message', {
      receiverId,
      content,
      messageType: 'text'
    });
  }

  // Handle typing indicators
  let typingTimeout;
  function handleTyping(receiverId) {
    socket.emit('typing_start', { receiverId });

    clearTimeout(typingTimeout);
    typingTimeout = setTimeout(() => {
      socket.emit('typing_stop', { receiverId });
    }, 1000);
  }

  return { socket, sendMessage, handleTyping };
};

export const hookWith = ({ useEffect, useState }) => {
  const useChat = (token) => {
    const [socket, setSocket] = useState(null);
    const [messages, setMessages] = useState([]);
    const [isTyping, setIsTyping] = useState(false);

    useEffect(() => {
      if (token) {
        const newSocket = io(process.env.CHAT_URL, {
          auth: { token }
        });

        newSocket.on('new_message', (data) => {
          setMessages(prev => [...prev, data.message]);
        });

        newSocket.on('typing_start', (data) => {
          setIsTyping(true);
        });

        newSocket.on('typing_stopped', (data) => {
          setIsTyping(false);
        });

        setSocket(newSocket);

        return () => newSocket.close();
      }
    }, [token]);

    const sendMessage = (receiverId, content) => {
      if (socket) {
        socket.emit('send_message', {
          receiverId,
          content,
          messageType: 'text'
        });
      }
    };

    return { socket, messages, isTyping, sendMessage };
  };
  return useChat;
};
