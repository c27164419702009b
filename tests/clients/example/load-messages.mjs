// The consult protocol's own example 3, as it stands there, except that the base URL comes from the
// environment and the token, a free variable there, from `as`.
export const as = (token) => {
  async function loadMessages(conversationId, page = 1, pageSize = 20) {
    const offset = (page - 1) * pageSize;
  
    const response = await fetch(
      `${process.env.CHAT_URL}/api/v1/chat/conversations/${conversationId}/messages?limit=${pageSize}&offset=${offset}`,
      {
        headers: {
          'Authorization': `Bearer ${token}`,
          'X-Client-Type': 'mobile'
        }
      }
    );
  
    const data = await response.json();
    return data.messages;
  }
  return loadMessages;
};
